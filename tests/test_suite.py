"""The paper's tables: what their files hold, what cells they ask for, and how cards fill them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from avbench.errors import UserError
from avbench.plugins.registry import installed
from avbench.protocol import known
from avbench.records import suite
from avbench.records.card import Card
from avbench.records.card_parts import DataList, DataPart, DetectorPart, ProtocolRecord, Request, TrainingRecord
from avbench.records.caveats import demo_data_made, random_start
from avbench.records.measured import Confusion, Measured
from avbench.records.suite import AVERAGE, Column, Row, crossing
from avbench.records.table import Table, comma_separated, latex, markdown
from avbench.report.suite_figures import _by_protocol, _title, total
from avbench.report.suite_tables import runs_shown, suite_tables
from avbench.report.tables import spread_table


def card(detector: str, protocol: str, auc: float, seed: int = 0, /, **changes: Any) -> Card:
    """Return a card as far as a suite's table reads it; the interval reaches five points to either side."""
    measured = Measured(auc, (auc - 0.05, auc + 0.05), 80, 40)
    made = Card(
        id=f"{detector}-{protocol}-{seed}",
        detector=DetectorPart(detector, version="1"),
        protocol=ProtocolRecord(protocol, placements=("oracle",)),
        seed=seed,
        started="2026-01-01T00:00:00+00:00",
        request=Request(),
        metrics={"oracle": {"video": {"auc": measured, "acc": measured}}},
    )
    return replace(made, **changes)


def by_label(table: Table) -> dict[str, dict[str, str]]:
    """Return a table's rows by label; columns of one heading keep the last."""
    return {row[0]: dict(zip(table.head, row, strict=True)) for row in table.rows}


def test_the_papers_tables_ask_for_what_is_installed() -> None:
    assert [name.split("_")[0] for name in suite.paper()] == ["table1", "table2", "table3", "table4", "table5"]
    plugins, protocols = installed(), known(installed().datasets())
    for table in suite.paper().values():
        for row, protocol, task in table.cells():
            assert task in plugins.detector(row.detector).tasks and protocol in protocols, (table.name, row)
    systems = {row.detector for row in suite.find("table1").rows if row.category != "Control"}
    assert len(systems) == 12


def test_every_average_of_the_paper_is_that_of_its_columns_but_the_one_that_is_noted() -> None:
    odd = []
    for table in suite.paper().values():
        for (row, column), printed in table.reported.items():
            parts = [
                table.reported[row, other]
                for other in table.columns
                if other.protocol != AVERAGE
                and (other.task, other.metric) == (column.task, column.metric)
                and (row, other) in table.reported
            ]
            if column.protocol == AVERAGE and abs(sum(parts) / len(parts) - printed) > 0.000051:
                odd.append((row.label, column.metric))
    assert odd == [("SSLAS", "acc")]


def test_published_values_are_those_of_detectors_as_they_are() -> None:
    found = suite.published()
    assert found["cross_lavdf_to_fakeav"]["fauforensics"]["binary"] == {"auc": 0.8377}, "not that of an ablation"
    assert found["within_lavdf"]["mrdf"]["four_class"] == {"acc": 0.9669, "auc": 0.9976}
    assert AVERAGE not in found


def test_a_table_is_found_by_number_and_by_subject() -> None:
    assert suite.find("table4") is suite.find("ablation_modules") is suite.find("table4_ablation_modules")
    assert suite.named("ablation_encoders") and not suite.named("within_lavdf")
    with pytest.raises(UserError, match=r"table9.*table"):
        suite.find("table9")
    cells = list(suite.find("table4").cells())
    assert len(cells) == 8 and cells[0][0].settings == ("use_ffl=false", "use_ifa=false", "use_tap=false")


def test_a_broken_table_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("row,detector\nMine,mine\n", "utf-8")
    with pytest.raises(UserError, match=r"odd\.csv.*columns row"):
        suite.read(path)


def test_crossing_leaves_out_tasks_that_a_detector_cannot_do() -> None:
    rows = [Row("A", "a"), Row("B", "b")]
    cells = list(crossing("x", rows, ["p", "q"], {"a": ("binary",), "b": ("binary", "four_class")}).cells())
    assert len(cells) == 6 and ("A", "four_class") not in {(row.label, task) for row, _, task in cells}


TWO = crossing(
    "Two", [Row("A", "a"), Row("B", "b"), Row("C", "c")], ["p", "q"], dict.fromkeys("abc", ("binary",)), ["auc"]
)


def test_best_and_ties_are_marked_and_a_missing_cell_is_a_dash() -> None:
    cards = [card("a", "p", 0.90), card("b", "p", 0.86), card("c", "p", 0.80), card("a", "q", 0.7)]
    (table,) = suite_tables(TWO, cards)
    column = [row[1].split("\n")[0] for row in table.rows]
    assert table.head == ("model", "p\nAUC", "q\nAUC") and column == ["90.0†", "86.0‡", "80.0"]
    assert [row[2] for row in table.rows] == ["70.0\n[65.0, 75.0]", "–", "–"]


def test_nothing_is_best_on_demo_data() -> None:
    demo = {"variant": ("demo data",), "caveats": ("demo data",)}
    cards = [card("a", "p", 0.90, **demo), card("b", "p", 0.86, **demo), card("b", "p", 0.88, 1, **demo)]
    (table,) = suite_tables(TWO, cards)
    said = " ".join([*table.notes, *(cell for row in table.rows for cell in row)])
    assert table.title.startswith("DEMO DATA") and "demo data" in said and "95 %" in said and "2 seeds" in said
    assert not any(word in said for word in ("†", "‡", "best", "tie"))
    (real,) = suite_tables(TWO, [replace(one, variant=(), caveats=()) for one in cards])
    assert "†" in real.rows[0][1] and "best" in " ".join(real.notes)


def test_a_table_is_made_of_the_newest_runs_of_its_cells() -> None:
    later = card("a", "p", 0.8, started="2026-02-01T00:00:00+00:00", id="later")
    cards = [later, card("a", "p", 0.1), card("a", "p", 0.6, 1), card("d", "p", 0.5), card("a", "elsewhere", 0.5)]
    assert [one.id for one in runs_shown(TWO, cards)] == ["a-p-1", "later"]


def test_seeds_are_averaged_and_of_equal_runs_the_newest_counts() -> None:
    later = card("a", "p", 0.8, started="2026-02-01T00:00:00+00:00")
    cards = [later, card("a", "p", 0.1), card("a", "p", 0.6, 1)]
    (table,) = suite_tables(TWO, cards)
    assert table.rows[0][1] == "70.0 ± 14.1\n(60.0 to 80.0)"


def test_variants_presets_settings_and_versions_are_never_mixed() -> None:
    usual = DetectorPart("b", version="1", preset="demo")
    demo = card("b", "p", 0.5, variant=("demo data",), caveats=("demo data",), detector=usual)
    paper = card("b", "p", 0.6, detector=DetectorPart("b", version="1", preset="paper"))
    tuned = card("b", "p", 0.7, request=Request(overrides=("epochs=1",)))
    old = card("c", "p", 0.2)
    new = card("c", "p", 0.3, protocol=ProtocolRecord("p", 2, placements=("oracle",)))
    tables = {table.title: by_label(table) for table in suite_tables(TWO, [demo, paper, tuned, old, new])}
    assert set(tables) == {"Two", "DEMO DATA · Two", "preset paper · Two"}
    assert tables["Two"]["B"]["p\nAUC"] == "–" and tables["Two"]["C"]["p\nAUC"].startswith("30.0")
    assert tables["DEMO DATA · Two"]["B"]["p\nAUC"].startswith("50.0")
    (given,) = suite_tables(TWO, [tuned], ["epochs=1"])
    assert by_label(given)["B"]["p\nAUC"].startswith("70.0")


def test_runs_on_demo_data_of_another_choice_or_version_are_never_mixed() -> None:
    usual, hard = ("demo data",), ("demo data", demo_data_made("hard, tuning edition"))
    made = {
        "new": (0.5, 0, usual, "10", "2026-02-01"),
        "old": (0.9, 1, usual, "9", "2026-01-01"),
        "hard": (0.7, 2, hard, "10-hard-tuning", "2026-03-01"),
    }
    cards = [
        card(
            "a", "p", auc, seed, variant=of, caveats=of, started=day, data=DataPart(test=DataList(data_version=version))
        )
        for auc, seed, of, version, day in made.values()
    ]
    tables = {table.title: by_label(table)["A"]["p\nAUC"] for table in suite_tables(TWO, cards)}
    assert list(tables) == ["DEMO DATA · Two", "DEMO DATA · demo data: hard, tuning edition · Two"]
    assert [shown.split()[0].split("\n")[0] for shown in tables.values()] == ["50.0", "70.0"]
    four = [replace(one, task="four_class") for one in cards]
    assert list(_by_protocol(four)) == ["p_demo", "p_demo_hard_tuning_edition"]


def test_confusion_matrices_add_seeds_up_and_of_equal_runs_the_newest_counts() -> None:
    first, again, second = (
        Confusion(("real", "fake"), matrix) for matrix in (((9, 9), (9, 9)), ((1, 2), (3, 4)), ((5, 0), (0, 5)))
    )
    runs = [
        card("a", "p", 0.5, seed, started=day, task="four_class", confusion={"oracle": {"video": matrix}})
        for seed, day, matrix in ((0, "2026-01-01", first), (1, "2026-01-02", second), (0, "2026-01-03", again))
    ]
    (kept,) = _by_protocol(runs)["p"]
    assert [one.seed for one in kept] == [0, 1] and _title(kept) == "a, seeds 0 1"
    assert total(kept) == (kept, Confusion(("real", "fake"), ((6, 2), (3, 9))))


@pytest.mark.parametrize(
    "changes",
    [
        {"detector": DetectorPart("a", version="1", preset="paper")},
        {"detector": DetectorPart("a", version="2")},
        {"data": DataPart(test=DataList(data_version="11"))},
        {"protocol": ProtocolRecord("p", 2, placements=("oracle",))},
        {"training": TrainingRecord(config={"lr": 1})},
    ],
)
def test_runs_of_another_cell_are_neither_added_nor_averaged(changes: dict[str, Any]) -> None:
    runs = [card("a", "p", 0.5, 0, task="four_class"), card("a", "p", 0.9, 1, task="four_class", **changes)]
    later = replace(runs[1], started="2026-02-01T00:00:00+00:00")
    assert _by_protocol([runs[0], later])["p"] == [[later]]
    assert spread_table(runs).rows == ()


def test_ablations_fill_their_own_rows_and_averages_need_every_part() -> None:
    full = card("fauforensics", "within_lavdf", 0.9)
    without = card("fauforensics", "within_lavdf", 0.8, request=Request(overrides=("use_fau=false",)))
    (table,) = suite_tables(suite.find("table5"), [full, without])
    rows = by_label(table)
    assert rows["FauForensics"]["lavdf\nAUC"].startswith("90.0") and rows["w/o FAU encoder"]["lavdf\nAUC"].startswith(
        "80.0"
    )
    assert rows["w/o audio encoder"]["paper"] == "66.42"
    one = [card("mrdf", "cross_lavdf_to_fakeav", 0.6)]
    both = [*one, card("mrdf", "cross_fakeav_to_lavdf", 0.8)]
    average = Column(AVERAGE, "binary", "auc")
    place = 3 + 2 * suite.find("table3").columns.index(average)
    for cards, shown in ((one, "–"), (both, "70.0")):
        (table,) = suite_tables(suite.find("table3"), cards)
        (row,) = (row for row in table.rows if row[0] == "MRDF")
        assert row[place] == shown


def test_latex_and_csv_hold_every_cell() -> None:
    table = Table("50 % of it", ("a & b", "x → y"), (("R_1", "1.0\n[0, 2]"),), ("note",))
    assert "| x<br>y   |" in markdown(Table("t", ("x\ny",), (("1\n2",),)))
    assert comma_separated(table) == 'a & b,x → y\nR_1,"1.0 [0, 2]"\n'
    made = latex(table)
    assert "50 \\% of it" in made and "a \\& b" in made and "$\\rightarrow$" in made and "R\\_1" in made
    assert made.count("\\\\") == 2 and "\\toprule" in made and made.endswith("\\end{table}\n")


def test_a_random_start_is_marked_and_gives_way_to_a_start_from_weights() -> None:
    table = crossing("Matrix", [Row("A", "a"), Row("B", "b")], ["within_lavdf"], {"a": ["binary"], "b": ["binary"]})
    caveat = random_start(["csn", "fau"])
    marked = {"variant": (caveat,), "caveats": (caveat,)}
    at_random = card("a", "within_lavdf", 0.6, started="2026-03-01T00:00:00+00:00", task="binary", **marked)
    other = card("b", "within_lavdf", 0.7, task="binary")
    (shown,) = suite_tables(table, [at_random, other])
    assert (
        "60.0" in by_label(shown)["A"]["lavdf\nAUC"].partition("*")[0] and "*" not in by_label(shown)["B"]["lavdf\nAUC"]
    )
    assert any("random start" in note and "A (csn, fau)" in note for note in shown.notes)
    (shown,) = suite_tables(table, [at_random, other, card("a", "within_lavdf", 0.9, 1, task="binary")])
    assert by_label(shown)["A"]["lavdf\nAUC"].startswith("90.0"), "never a mean of both"
    assert "*" not in by_label(shown)["A"]["lavdf\nAUC"] and not any("random start" in note for note in shown.notes)


def test_tables_carry_neither_markup_nor_formulas_of_their_input() -> None:
    rows = (("<script>x</script>", "=1+cmd|' /C calc'!A0"), ("[a](javascript:b)", "-0.5 [-0.9, 0.1]"), ("@sum(a)", "-"))
    made = Table("t <b>\n# u", ("name", "value"), rows, ("a <i>note</i>",))
    text = markdown(made)
    assert "<script" not in text and "<i>" not in text and "](" not in text and "## t &lt;b> # u" in text
    lines = comma_separated(made).splitlines()
    assert lines[1].endswith("'=1+cmd|' /C calc'!A0") and lines[3] == "'@sum(a),-"
    assert lines[2] == '[a](javascript:b),"-0.5 [-0.9, 0.1]"'
