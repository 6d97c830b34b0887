"""A card, a state or a figure that cannot be read costs itself alone: reports and runs go on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from avbench.cli import main
from avbench.engine.state import TrainingState
from avbench.records.runs import Runs
from avbench.report import suite_figures

Words = Callable[..., list[str]]


@pytest.fixture(scope="module")
def measured(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a results folder with a finished run of each of two controls."""
    out = tmp_path_factory.mktemp("measured")
    for name in ("chance", "majority"):
        words = ["run", "--detector", name, "--protocol", "within_folder", "--data", f"folder={tiny}"]
        assert main([*words, "--workers", "0", "--seed", "0", "--out", str(out)]) == 0
    return out


def odd(card: dict[str, Any]) -> str:
    """Return a card whose every value has the right type, and which still says nothing that can be shown."""
    card["protocol"] |= {"placements": [], "name": "\x00"}
    for of_placement in card["confusion"].values():
        for found in of_placement.values():
            found["labels"], found["matrix"] = [], [[1], [2, 3]]
    return json.dumps(card)


BAD = {
    "empty": lambda card: "",
    "cut": lambda card: json.dumps(card)[:200],
    "list": lambda card: "[]",
    "deep": lambda card: "[" * 100_000,
    "number": lambda card: json.dumps(card | {"metrics": 5}),
    "newer": lambda card: json.dumps(card | {"format": 99}),
    "odd": odd,
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_card_costs_itself_alone(
    kind: str, measured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(measured, out)
    (chance,) = (out / "runs").glob("chance-*")
    (chance / "card.json").write_text(BAD[kind](json.loads((chance / "card.json").read_text("utf-8"))), "utf-8")
    page = tmp_path / "report.md"
    assert main(["report", "--out", str(out), "--html", "--markdown", str(page)]) == 0
    printed = capsys.readouterr()
    assert "majority" in printed.out and "majority" in page.read_text("utf-8")
    assert "chance" not in page.read_text("utf-8")
    assert (out / "runs" / "report.html").is_file()
    assert kind == "odd" or not Runs(out).newest(beginning="chance")
    assert main(["report", "--out", str(out), "majority"]) == 0


def test_where_no_card_can_be_read_the_report_says_so(
    measured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(measured, out)
    for path in (out / "runs").glob("*/card.json"):
        path.write_text("{", "utf-8")
    assert main(["report", "--out", str(out)]) == 2
    assert "no run that can be shown" in capsys.readouterr().err
    assert main(["report", "--verify", str(out)]) == 1
    assert capsys.readouterr().out.count("not a card") == 2


def test_a_run_beside_a_bad_card_is_computed_and_shown(measured: Path, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(measured, out)
    (chance,) = (out / "runs").glob("chance-*")
    (chance / "card.json").rename(chance / "kept.json")
    bad = chance.with_name(f"{chance.name[:-8]}00000000")
    bad.mkdir()
    (bad / "card.json").write_text("{", "utf-8")
    words = ["run", "--detector", "chance", "--protocol", "within_folder", "--data", f"folder={tiny}"]
    assert main([*words, "--workers", "0", "--seed", "0", "--out", str(out)]) == 0


def test_a_figure_that_cannot_be_drawn_costs_the_page_nothing_else(
    measured: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(measured, out)

    def fail(*arguments: Any) -> None:
        raise ValueError("no ink")

    monkeypatch.setattr(suite_figures, "draw_suite", fail)
    (drawn, *_) = out.glob("runs/*/figures/*.svg")
    drawn.write_bytes(b"\xff\xfe<svg>")
    assert main(["report", "--out", str(out), "--html"]) == 0
    assert "majority" in (out / "runs" / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 cut", "text", [1, 2], {"format": 2}, {"format": 2, "stage": "x"}], ids=str
)
def test_a_bad_state_is_left_out_with_a_warning(content: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "state-00000001.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    assert TrainingState.load(tmp_path) is None
    assert "state-00000001.pt" in caplog.text and "goes on without it" in caplog.text
