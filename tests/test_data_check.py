"""`avbench data check` for any dataset: whatever may be wrong with a listing is found, a sound one is left in peace."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from avbench.cli import main
from avbench.data.checking import check_database
from avbench.data.databases import Database
from avbench.types import DatasetSpec, Forgery, Sample

PEOPLE = 6
MADE: list[Sample] = []


def scan(root: Path) -> Iterable[Sample]:
    """Return what a test has put there."""
    return MADE


def samples_of(root: Path) -> list[Sample]:
    """Return four samples of each person, whose files are copies below a root."""
    return [
        Sample(
            f"p{person}/{forgery.name}.mp4",
            root / f"p{person}/{forgery.name}.mp4",
            forgery,
            identity=f"p{person}",
            fps=25.0,
            frames=30,
        )
        for person in range(PEOPLE)
        for forgery in Forgery
    ]


@pytest.fixture
def base(tiny: Path, tmp_path: Path) -> Database:
    """Return a database of small videos whose listing is sound."""
    MADE[:] = samples_of(tmp_path)
    for sample in MADE:
        sample.path.parent.mkdir(exist_ok=True)
        shutil.copy(tiny / f"person{sample.identity[1:]}_{sample.forgery.name}.mp4", sample.path)
    return Database(DatasetSpec("booth", "Booth", f"{__name__}:scan"), tmp_path)


def told(base: Database, level: str = "") -> list[str]:
    """Return what is said, of one level or of errors and warnings."""
    return [f.what for f in check_database(base) if f.level == level or (not level and f.level != "note")]


def test_a_sound_database_has_counts_alone(base: Database) -> None:
    assert told(base) == []
    notes = " | ".join(told(base, "note"))
    assert "24 videos: 6 RARV, 6 RAFV, 6 FARV, 6 FAFV" in notes and "6 identities" in notes
    assert "training / validation / test: 12 / 4 / 8" in notes


Change = Callable[[Sample], Sample]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda s: replace(s, id="p0/RARV.mp4", path=s.path), "error: 1 ids are given to several samples: p0/RARV.mp4"),
        (lambda s: replace(s, path=s.path.parent / "none.mp4"), "error: 1 files are missing: p1/RAFV.mp4"),
        (lambda s: replace(s, path=s.path.parents[2] / "out.mp4"), "error: 'p1/RAFV.mp4': its file "),
        (lambda s: replace(s, path=s.path.parent / "RARV.mp4"), "warning: 1 files are listed by several samples"),
        (lambda s: replace(s, annotations=(("au", s.path / "no.csv"),)), "error: 1 samples name a file of frame-level"),
        (lambda s: replace(s, fake_periods=((1.0, 0.5),)), "error: 1 fake periods end before they begin"),
        (lambda s: replace(s, fake_periods=((-1.0, 0.5),)), "error: 1 fake periods end before they begin"),
        (lambda s: replace(s, fake_periods=((0.5, 3.0),)), "warning: 1 fake periods end behind the end"),
        (lambda s: replace(s, fake_periods=((0.5, 1.0),)), "warning: 1 videos name fake periods: say locally_forged"),
        (
            lambda s: replace(s, forgery=Forgery.RARV, fake_periods=((0.5, 1.0),)),
            "error: 1 real videos (RARV) have fake periods",
        ),
        (lambda s: replace(s, forgery=Forgery.RARV, method="fsgan"), "warning: 1 real videos (RARV) name a method"),
        (lambda s: replace(s, identity=""), "warning: 1 samples name no identity, though others do"),
        (lambda s: replace(s, split="dev"), "error: cannot be split"),
        (lambda s: replace(s, fps=30.0), "warning: runs at 25 frames/s, its metadata say 30"),
        (lambda s: replace(s, frames=90), "warning: lasts 1.20 s, its metadata say 3.60"),
    ],
)
def test_each_fault_is_found(base: Database, change: Change, what: str) -> None:
    MADE[5] = change(MADE[5])
    level, _, text = what.partition(": ")
    assert any(said.startswith(text) for said in told(base, level)), told(base)


def test_empty_and_broken_files_are_found(base: Database) -> None:
    MADE[4].path.write_bytes(b"")
    MADE[0].path.write_bytes(b"no video at all")
    errors = told(base, "error")
    assert any("1 files are empty: p1/RARV.mp4" in said for said in errors)
    assert any("cannot be opened" in said for said in errors)


def test_names_and_labels_of_the_whole_are_looked_at(base: Database) -> None:
    MADE[:] = [replace(s, identity="") for s in MADE if s.forgery != Forgery.FARV]
    warnings = told(base, "warning")
    assert any("samples name no identity: a person may be trained on and tested" in said for said in warnings)
    assert "no FARV in test: metrics of them are undefined" in warnings
    MADE[:] = [replace(s, identity="one") for s in MADE]
    assert any("nothing can be trained on it" in said for said in told(base, "warning"))
    local = replace(base, spec=replace(base.spec, locally_forged=True))
    assert "locally_forged, but no video names a fake period" in told(local, "warning")


def test_the_command_takes_any_dataset(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plugin = tmp_path / "flat_dataset.py"
    plugin.write_text(
        "from avbench.hookspecs import hookimpl\n"
        "from avbench.types import DatasetSpec, Forgery, Sample\n\n\n"
        "def scan(root):\n"
        "    for path in sorted(root.glob('*.mp4')):\n"
        "        person, name = path.stem.split('_')\n"
        "        yield Sample(path.name, path, Forgery[name], identity=person)\n\n\n"
        "@hookimpl\n"
        "def avbench_datasets():\n"
        "    yield DatasetSpec('flat', 'Flat', f'{__name__}:scan')\n",
        "utf-8",
    )
    words = ["data", "check", "flat", "--plugin", str(plugin), "--data"]
    assert main([*words, f"flat={tiny}"]) == 0
    assert "0 errors, 0 warnings" in capsys.readouterr().out
    (tmp_path / "files").mkdir()
    for name in ("a_RARV", "b_FAFV"):
        (tmp_path / "files" / f"{name}.mp4").write_bytes(b"")
    assert main([*words, f"flat={tmp_path / 'files'}"]) == 1
    assert "2 files are empty" in capsys.readouterr().out
