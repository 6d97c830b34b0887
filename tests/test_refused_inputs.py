"""What stands in a protocol, a setting, a table of labels or of scores is read, or refused in one clear line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avbench.bench.spec import RunSpec, loading_with
from avbench.cli import main
from avbench.config import resolve
from avbench.data.lists import prepare
from avbench.errors import UserError
from avbench.hashing import digest_of
from avbench.plugins.registry import installed
from avbench.protocol import complaint, read
from avbench.records.external_scores import read_external
from avbench.types import ClipSpec, DetectorSpec, Forgery, Preset, Protocol, Sample, Stage
from avbench_folder.labels import forgery_called
from avbench_folder.reader import scan

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = [*Protocol.__dataclass_fields__, "surprise"]


def one_line(error: UserError) -> None:
    text = str(error)
    assert text.strip() and "\n" not in text and len(text) < 2000


@quick
@given(values=st.dictionaries(st.sampled_from(FIELDS), plain, max_size=6))
def test_any_fields_of_a_protocol(values: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    whole = {"name": "p", "version": 1, "train": "lavdf", "test": "fakeav", **values}
    path.write_text(yaml.safe_dump(whole, allow_unicode=False), "utf-8")
    try:
        protocol = read(path)
    except UserError as error:
        one_line(error)
    else:
        assert complaint(protocol) == "" and protocol.digest() and protocol.title.isprintable() is not None


@quick
@given(data=st.binary(max_size=80) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_as_a_protocol(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(data)
    with pytest.raises(UserError) as caught:
        read(path)
    one_line(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "select_on: Test",
        "strict_identity: 'no'",
        "test_on: [all]",
        "trim_silence: 1",
        "version: 0x" + "f" * 5000,
        "fold: -1" + "0" * 4000,
        'title: "two\\nlines"',
        'title: "\\uD800"',
        "levels: [.nan]",
        "placements: oracle",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\ntitle: *c",
        "title: &t [*t]",
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "p.yaml").write_text(f"name: p\nversion: 1\ntrain: lavdf\ntest: lavdf\n{line}\n", "utf-8")
    with pytest.raises(UserError) as caught:
        read(tmp_path / "p.yaml")
    one_line(caught.value)


def test_a_protocol_in_latin_1_stops_no_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "protocols").mkdir()
    (tmp_path / "protocols" / "mine.yaml").write_bytes("name: mine\ntitle: Müller\n".encode("latin-1"))
    monkeypatch.chdir(tmp_path)
    assert main(["ls", "protocols"]) == 0 and "within_lavdf" in capsys.readouterr().out


def test_what_is_trained_on_is_never_the_whole_test() -> None:
    protocol = Protocol("p", 1, "folder", "folder", test_on="all")
    with pytest.raises(UserError, match="training videos would be judged"):
        prepare(protocol, installed(), {})


@pytest.mark.parametrize("seed", [-1, 2**32, 10**30, True, 1.0, "1"])
def test_a_seed_that_is_none(seed: Any) -> None:
    with pytest.raises(UserError, match="--seed"):
        RunSpec(detector="d", protocol=Protocol("p", 1, "a", "a"), task="binary", seed=seed)


@pytest.mark.parametrize("limit", [0, -1, 0.5, "3"])
def test_a_limit_that_is_none(limit: Any) -> None:
    for name in ("limit", "limit_test"):
        with pytest.raises(UserError, match="--limit"):
            RunSpec(detector="d", protocol=Protocol("p", 1, "a", "a"), task="binary", **{name: limit})


@pytest.mark.parametrize(
    "options",
    [{"workers": -1}, {"workers": 10**9}, {"max_errors": float("nan")}, {"file_seconds": 0}, {"file_memory": "much"}],
)
def test_a_way_of_loading_that_is_none(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"--workers|--max-errors|--file-seconds|--file-memory"):
        loading_with(**options)


@pytest.mark.parametrize("fold", ["²", "-1", "1.0", "", "٣" * 3, "9" * 5000, "one"])
def test_a_fold_that_is_none(fold: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export-list", "within_lavdf", f"--fold={fold}"]) == 2
    said = capsys.readouterr().err
    assert "--fold" in said and said.count("\n") == 1


SPEC = DetectorSpec(
    "d",
    load="m:D",
    presets=(Preset("demo", clip=ClipSpec(), stages=(Stage("one"),), settings={"width": 4, "share": 0.5, "on": True}),),
)
KEYS = ["batch", "lr", "epochs", "one.lr", "clip.size", "clip.frames", "clip.fps", "width", "share", "on", "threads"]
KEYS += ["eval_batch", "pooling", "precision", "optimizer", "clip.region", "deterministic", "nothing", ""]


@quick
@given(
    key=st.sampled_from(KEYS), value=st.sampled_from(["none", "nan", "-inf", "²", "9" * 5000]) | st.text(max_size=12)
)
def test_any_setting(key: str, value: str) -> None:
    try:
        found = resolve(SPEC, "binary", overrides=[f"{key}={value}"])
    except UserError as error:
        assert str(error).strip()
    else:
        assert digest_of(found.as_dict()) and type(found.settings["width"]) is int


@pytest.mark.parametrize(
    "setting",
    [
        "batch=none",
        "lr=nan",
        f"epochs={10**20}",
        "width=none",
        "width=1e3",
        f"width={10**30}",
        "share=inf",
        "on=2",
        "clip.size=100000",
        "clip.fps=0",
        "clip.sample_rate=0",
        "eval_batch=²",
        "threads=0",
        "pooling=Mean2",
    ],
)
def test_a_setting_of_the_wrong_type_is_one_line(setting: str) -> None:
    with pytest.raises(UserError, match="--set") as caught:
        resolve(SPEC, "binary", overrides=[setting])
    one_line(caught.value)


cells = st.text(max_size=8) | st.sampled_from(
    ["real", "1", "0.5", "nan", "", "a.mp4", "p1;p2", "test", "TRUE", "1e999"]
)
COLUMNS = ["path", "label", "identity", "target", "split", "fake_start", "fake_end", "video_fake", "audio_fake"]


@quick
@given(header=st.permutations(COLUMNS), rows=st.lists(st.lists(cells, min_size=9, max_size=9), max_size=4))
def test_any_table_of_labels(header: list[str], rows: list[list[str]], tmp_path: Path) -> None:
    text = "\n".join(",".join(row) for row in [header, *rows])
    (tmp_path / "labels.csv").write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        found = scan(tmp_path)
    except UserError as error:
        assert str(error).strip()
    else:
        assert all(sample.id and sample.identity for sample in found)


TESTED = [Sample(name, Path(name), forgery) for name, forgery in (("a.mp4", Forgery.RARV), ("b é.mp4", Forgery.RAFV))]
NAMES = ["id", "score", "p_rarv", "p_rafv", "p_farv", "p_fafv", "logit", "reason", "label", "forgery", "Score ", "x"]


@quick
@given(
    names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=6),
    rows=st.lists(st.lists(cells, min_size=1, max_size=6), max_size=3),
    mark=st.sampled_from([",", ";", "\t"]),
    code=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
)
def test_any_table_of_scores(names: list[str], rows: list[list[str]], mark: str, code: str, tmp_path: Path) -> None:
    whole = [["id", *names], *([name, *row] for name, row in zip(("a.mp4", "b é.mp4", "c"), rows, strict=False))]
    text = "\n".join(mark.join(row) for row in whole)
    (tmp_path / "s.csv").write_bytes(text.encode(code, "replace"))
    try:
        found = read_external(tmp_path / "s.csv", TESTED)
    except UserError as error:
        assert str(error).strip()
    else:
        assert found["score"].dropna().between(0, 1).all() and len(found) == len(TESTED)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id;score\na.mp4;0.1\n", "separated by semicolons; save the file with commas"),
        ("id\tscore\na.mp4\t0.1\n", "separated by tabs"),
        ("ID,score\na.mp4,0.1\n", "column 'ID' is called id"),
        ("id,score \na.mp4,0.1\n", "column 'score ' is called score"),
        ("id,score,score\na.mp4,0.1,0.2\n", "'score' stands there 2 times"),
        ("id,score\na.mp4 ,0.1\n", "for the blanks around them"),
        ("id,score\nA.MP4,0.1\n", "for their capitals"),
        ("id,score\n/data/a.mp4,0.1\n", "the path below the database's folder"),
        ('id,score\na.mp4,"0,1"\n', "write 0.5, not 0,5"),
        ("id,score\na.mp4,0.1,\n", "line 2: 3 cells, expected 2"),
        ("id,score,p_rarv\na.mp4,0.1,0.9\n", "has p_rarv, but not"),
        ("id,score,p_rarv,p_rafv,p_farv,p_fafv\na.mp4,0.5,0.9,0.1,0,0\n", "a score that is not 1 - p_rarv"),
        ("id,score,label\na.mp4,0.1,1\n", "another label than the list"),
        ("id,score,forgery\na.mp4,0.1,FAFV\n", "another forgery than the list"),
        ("", "needs the columns"),
    ],
)
def test_what_is_wrong_with_scores_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "s.csv").write_text(text, "utf-8")
    with pytest.raises(UserError, match=message):
        read_external(tmp_path / "s.csv", TESTED[:1])


def test_scores_in_utf_16_and_with_a_mark_of_their_order(tmp_path: Path) -> None:
    text = "id,score,label,forgery\na.mp4,0.1,0,RARV\n"
    (tmp_path / "s.csv").write_text(text, "utf-8-sig")
    assert read_external(tmp_path / "s.csv", TESTED[:1])["score"].tolist() == [0.1]
    (tmp_path / "s.csv").write_text(text, "utf-16")
    with pytest.raises(UserError, match="is UTF-16; save it as UTF-8"):
        read_external(tmp_path / "s.csv", TESTED[:1])


@pytest.mark.parametrize(
    ("label", "forgery"),
    [
        ("1.0", 3),
        ("0.0", 0),
        ("Bona-Fide", 0),
        ("bonafide", 0),
        ("SPOOF", 3),
        ("genuine", 0),
        ("FakeVideo-RealAudio", 1),
    ],
)
def test_spellings_of_the_field_are_understood(label: str, forgery: int) -> None:
    assert forgery_called(label) == forgery


def test_a_label_that_may_mean_either_is_refused() -> None:
    for label in ("TRUE", "no"):
        with pytest.raises(ValueError, match="may mean genuine or forged"):
            forgery_called(label)


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("p2", ("p2",)),
        ("p2; Tom Hanks", ("p2", "Tom Hanks")),
        ("Tom  Hanks", ("Tom Hanks",)),
        ("", ()),
        ("p9", ("p9",)),
    ],
)
def test_targets_are_names_with_semicolons_between(tmp_path: Path, target: str, found: tuple[str, ...]) -> None:
    text = f"path,label,identity,target\na.mp4,1,p1,{target}\nb.mp4,0,p2,\nc.mp4,0,Tom Hanks,\n"
    (tmp_path / "labels.csv").write_text(text)
    assert scan(tmp_path)[0].other_identities == found


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("p2 p3", "put ';' between several"),
        ('"p2,p3"', "holds ','"),
        ("p2|p3", r"holds '\|'"),
        ("p2;;p3", "names nobody"),
        ("P2", "spell both alike"),
        ("tom_hanks", "spell both alike"),
        ("7", "'007' is; spell both alike"),
        ("7.0", "spell both alike"),
    ],
)
def test_targets_that_would_match_nobody_are_refused(tmp_path: Path, target: str, message: str) -> None:
    text = f"path,label,identity,target\na.mp4,1,p1,{target}\nb.mp4,0,p2,\nc.mp4,0,Tom Hanks,\nd.mp4,0,007,\n"
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(UserError, match=f"row 2: .*{message}"):
        scan(tmp_path)


def test_modules_of_the_current_folder_are_not_imported(tmp_path: Path) -> None:
    for name in ("argparse", "json", "importlib_metadata", "yaml"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('planted')\n")
    done = subprocess.run([sys.executable, "-m", "avbench", "--version"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("avbench ") and "planted" not in done.stderr


def test_a_file_may_be_its_own_person_whatever_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text('path,label,identity\na|b;c.mp4,0,a|b;c.mp4\n"d, e.mp4",1,"anna, bob"\n')
    with pytest.raises(UserError, match="row 3: identity 'anna, bob' holds ','"):
        scan(tmp_path)
    (tmp_path / "labels.csv").write_text("path,label,identity\na|b;c.mp4,0,a|b;c.mp4\n")
    assert scan(tmp_path)[0].identity == "a|b;c.mp4"
