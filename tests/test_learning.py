"""`avbench check --learns`: what learns passes, what ends at chance fails, and all that ships learns."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from avbench.bench.contract import Lesson, check_learning
from avbench.bench.contract.learning import judge
from avbench.bench.spec import Computing, loading_with
from avbench.cli import main
from avbench.plugins.registry import installed
from avbench.records.card import Card
from avbench.records.card_parts import DetectorPart, ProtocolRecord
from avbench.records.run import Run
from avbench.records.scores import coerce
from avbench.types import Stream

HERE = Path(__file__)
# Of what knows nothing of forgeries nothing is to be learnt.
IGNORANT = {"chance", "majority", "leading_silence", "metadata"}
Told = dict[str, tuple[bool, str]]


@pytest.fixture
def check(tiny: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Told]]:
    """Return a function that checks what small videos teach detectors -> exit code, (kept, detail) by promise."""

    def do(*words: str, plugin: str = "learning_detectors.py") -> tuple[int, Told]:
        more = ["--plugin", str(HERE.with_name(plugin)), "--data", f"folder={tiny}", "--workers", "0"]
        code = main(["check", *words, *more, "--learns", "--protocol", "within_folder"])
        lines = [line for line in capsys.readouterr().out.splitlines() if "learns within_folder" in line]
        found = [re.fullmatch(r"  (ok|BROKEN) +(.*?seed \d+): (.*)", line) for line in lines]
        return code, {one[2]: (one[1] == "ok", one[3]) for one in found if one}

    return do


def test_a_detector_that_learns_passes(check: Callable[..., tuple[int, Told]]) -> None:
    code, told = check("small", "--seed", "0", "1", plugin="small_detector.py")
    assert code == 0 and list(told) == ["binary: learns within_folder, seed 0", "binary: learns within_folder, seed 1"]
    kept, detail = told["binary: learns within_folder, seed 0"]
    assert kept and re.match(r"AUC \d+\.\d \[\d+\.\d, 100\.0\] on 12 videos of test data in 3 clusters, ", detail)
    assert detail.endswith("label of the clip, preset default")


def test_a_random_score_fails_however_it_was_trained(check: Callable[..., tuple[int, Told]]) -> None:
    code, told = check("wishful", "--seed", "1")
    ((kept, detail),) = told.values()
    assert code == 1 and not kept and detail.startswith("no better than chance: AUC ")


def test_a_detector_of_one_stream_is_judged_by_that_stream(check: Callable[..., tuple[int, Told]]) -> None:
    code, told = check("seeing")
    ((kept, detail),) = told.values()
    assert (code, kept) == (0, True) and "AUC 100.0 [100.0, 100.0]" in detail and "label of the video" in detail
    code, told = check("mistaken")  # against the clip's label it would be at five sixths
    ((kept, detail),) = told.values()
    assert (code, kept) == (1, False) and "label of the audio" in detail


def test_of_an_ensemble_each_member_is_judged(check: Callable[..., tuple[int, Told]]) -> None:
    code, told = check("half", "--seed", "1")
    assert code == 1 and list(told) == [
        "seeing, binary: learns within_folder, seed 1",
        "wishful, binary: learns within_folder, seed 1",
        "binary: learns within_folder, seed 1",
    ]
    assert [kept for kept, _ in told.values()][:2] == [True, False]


def test_an_error_of_the_detector_is_a_broken_promise(check: Callable[..., tuple[int, Told]]) -> None:
    code, told = check("broken")
    ((kept, detail),) = told.values()
    assert (code, kept) == (1, False)
    assert re.search(r"broken: \w+ raised ZeroDivisionError at \S*learning_detectors.py:\d+: no clip of mine", detail)


def test_runs_are_forgotten_unless_a_folder_is_named(check: Callable[..., tuple[int, Told]], tmp_path: Path) -> None:
    check("seeing")
    assert not (tmp_path / "results").exists()
    check("seeing", "--out", str(tmp_path / "kept"))
    assert len(list((tmp_path / "kept" / "runs").iterdir())) == 1


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["auc", "--learns"], "no detector called 'auc'"),
        (["chance", "--learns", "--protocol", "nix"], "no protocol called 'nix'"),
        (["chance", "--learns", "--preset", "nix"], "no preset of chance called 'nix'"),
        (["chance", "--protocol", "within_lavdf"], "--protocol: what a detector is to learn; add --learns"),
    ],
)
def test_what_cannot_be_checked_is_told_in_a_line(
    words: list[str], what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", *words]) == 2
    assert what in capsys.readouterr().err


def judged(score: list[float | None], forgery: list[int], clusters: int, *requires: Stream) -> tuple[bool, str]:
    """Return the verdict on a run with these scores."""
    rows = len(score)
    cluster = [f"c{i % clusters}" for i in range(rows)]
    table = pd.DataFrame({"id": [f"v{i}" for i in range(rows)], "score": score, "forgery": forgery})
    card = Card(
        id="x",
        detector=DetectorPart("x", preset="demo", requires=requires),
        protocol=ProtocolRecord(name="within_x", placements=("oracle",)),
    )
    run = Run(card, Path("nowhere"))
    run.__dict__["scores"] = coerce(table.assign(cluster=cluster, placement="oracle", start=0.0, end=1.0))
    found = judge("learns", run)
    return found.kept, found.detail


def test_the_verdict_is_the_interval_s() -> None:
    forgery = [0, 1, 2, 3] * 10
    right: list[float | None] = [float(f > 0) for f in forgery]
    assert judged(right, forgery, 20) == (
        True,
        "AUC 100.0 [100.0, 100.0] on 40 videos of test data in 20 clusters, label of the clip, preset demo",
    )
    kept, detail = judged([0.5] * 40, forgery, 20)
    assert not kept and detail.startswith("no better than chance: AUC 50.0 [50.0, 50.0]")
    assert not judged([1 - float(f > 0) for f in forgery], forgery, 20)[0], "worse than chance has learnt nothing"
    kept, detail = judged(right, forgery, 1)
    assert not kept and detail.startswith("cannot be told: AUC 100.0 without an interval")
    kept, detail = judged(right, [3] * 40, 20)
    assert not kept and detail.startswith("cannot be told: AUC undefined, one class alone")
    kept, detail = judged([None, *right[1:]], forgery, 20)
    assert kept and "on 39 videos" in detail, "a video without a score is not counted"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(installed().detectors()) - IGNORANT))
def test_every_detector_that_ships_learns(name: str, demo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    plugins = installed()
    shared = tmp_path_factory.getbasetemp() / "learning"  # ensembles find their members' runs
    computing = Computing(results=shared, loading=loading_with(), mlflow=False)
    found = list(check_learning(plugins.detector(name), plugins, Lesson(), computing=computing))
    assert {result.promise: result.detail for result in found if not result.kept} == {} and len(found) >= 2
