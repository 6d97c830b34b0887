"""A plugin that fails is told in one line: what it did, at which line of its own, over which batch; and once."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from avbench.bench.matrix import Outcome
from avbench.bench.spec import RunSpec
from avbench.cli import main
from avbench.cli.overview import failures
from avbench.hookspecs import hookimpl
from avbench.metrics.measuring import measure
from avbench.own_line import PluginError, blaming, line_of, shown
from avbench.plugins.registry import Plugins, Source, installed
from avbench.records import scores
from avbench.records.runs import Runs
from avbench.types import MetricSpec

PLUGIN = Path(__file__).with_name("failing_detectors.py")
BATCH = "batch: video (4,5,3,32,32) uint8, audio (4,3200) float32"
Run = Callable[..., tuple[int, str]]


def line(kind: str) -> str:
    """Return file:number of the line of a failing detector's class that is to be named."""
    lines = PLUGIN.read_text("utf-8").splitlines()
    begin = lines.index(f"class {kind}(Works):")
    number = next(k for k in range(begin, len(lines)) if lines[k].endswith("# here")) + 1
    return f"failing_detectors.py:{number}"


@pytest.fixture
def run(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function (class, further words) -> exit code and the last line of the error stream of its run."""

    def run(kind: str, *more: str) -> tuple[int, str]:
        words = ["run", "--plugin", str(PLUGIN), "--detector", kind.lower(), "--protocol", "within_folder"]
        words += ["--data", f"folder={tiny}", "--workers", "0", "--seed", "0", "--out", str(tmp_path / "out"), *more]
        code = main(words)
        told = capsys.readouterr().err
        assert "Traceback" not in told
        return code, told.strip().splitlines()[-1]

    return run


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("ForwardRaises", "forward raised RuntimeError at {line}: mat1 and mat2 shapes cannot be multiplied"),
        ("EvaluationRaises", "forward raised ValueError at {line}: only in evaluation"),
        ("LossRaises", "loss raised IndexError at {line}: index 7 is out of bounds"),
        ("LossIsNameless", "loss at {line} gave {{'total'}}, not scalars by name, the one to minimise called \"loss\""),
        ("GivesTensor", "forward at {line} gave (4,2) float32, not an avbench.types.Output"),
        ("GivesSevenClasses", "forward at {line} gave binary logits as (4,7) float32, not (4,2)"),
        ("GivesNan", "so that the rate is not to blame: forward at {line} gives logits that are not finite for 4 of 4"),
        ("NanInEvaluation", "forward at {line} gives scores that are not finite for all 4 clips"),
        ("NoMemory", "out of memory: nomemory: forward raised OutOfMemoryError at {line}: CUDA out of memory"),
        ("Asserts", "forward raised AssertionError at {line}: assert batch.video.shape[-1] == 224"),
        ("Exits", "forward raised SystemExit at {line}: 3"),
    ],
)
def test_a_failure_names_its_line_and_the_batch(kind: str, told: str, run: Run, tmp_path: Path) -> None:
    code, said = run(kind)
    assert code == 2 and kind.lower() in said
    assert told.format(line=line(kind)) in said.replace(f"{PLUGIN.parent}/", "").replace("tests/", "")
    assert BATCH in said
    assert "lower the rate" not in said
    (card,) = [one.card for one in Runs(tmp_path / "out")]
    assert card.status == "failed" and line(kind) in card.error


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("BuildRaises", "buildraises cannot be built of preset default: __init__ raised KeyError at {line}: 'width'"),
        ("BeginRaises", "beginraises: begin_stage raised RuntimeError at {line}: no such stage"),
        ("OptimizerRaises", "optimizer raised ValueError at {line}: optimizer got an empty parameter list"),
        ("StepRaises", "after_step raised KeyError at {line}: 'slow copy'"),
    ],
)
def test_a_failure_beside_clips_names_its_line(kind: str, told: str, run: Run) -> None:
    code, said = run(kind)
    assert code == 2
    assert told.format(line=line(kind)) in said.replace(f"{PLUGIN.parent}/", "").replace("tests/", "")


def test_memory_that_runs_out_says_what_takes_less(run: Run) -> None:
    assert "use --set micro_batch=2 (it is 4)" in run("NoMemory")[1]
    smallest = run("NoMemory", "--set", "micro_batch=1")[1]
    assert "micro_batch" not in smallest and "smaller --preset" in smallest


def test_a_clip_whose_score_is_no_number_is_a_row_with_a_reason(run: Run, tmp_path: Path) -> None:
    assert run("NanForOne")[0] == 0
    (found,) = Runs(tmp_path / "out")
    assert found.card.counts.reasons == {"not_finite": 1} and found.card.counts.scored == 11
    lost = found.scores[found.scores["score"].isna()]
    assert set(lost["reason"]) == {"not_finite"} and set(lost["id"]) == {"person6_FAFV.mp4"}


def test_the_same_failure_of_three_seeds_is_told_once(
    run: Run, tiny: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["run", "--plugin", str(PLUGIN), "--detector", "forwardraises", "--protocol", "within_folder"]
    words += ["--data", f"folder={tiny}", "--workers", "0", "--jobs", "1", "--out", str(tmp_path / "out")]
    assert main([*words, "--seed", "0", "1", "2"]) == 2
    printed = capsys.readouterr()
    assert (printed.out + printed.err).count("mat1 and mat2") == 2, "where the first seed ends, and as the error"


def test_runs_that_fail_for_one_reason_are_one_line() -> None:
    protocol = installed().protocol("within_folder")
    specs = [RunSpec(detector="chance", protocol=protocol, task="binary", seed=seed) for seed in range(3)]
    outcomes = [Outcome(spec=spec, reason="worn out" if spec.seed else "new") for spec in specs]
    assert failures(outcomes) == [
        "failed: chance seed 0, within_folder binary: new",
        "failed: chance seed 1, within_folder binary; chance seed 2, within_folder binary: worn out",
    ]


class Observer:
    """An observer that fails at each epoch."""

    @hookimpl
    def avbench_epoch_ended(self, epoch: int) -> None:
        raise ValueError("no board")


def test_an_observer_that_fails_at_each_epoch_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    plugins = Plugins()
    plugins._register(Observer(), Source("board", "here"))
    for epoch in range(5):
        plugins.notify("avbench_epoch_ended", card=None, epoch=epoch, values={})
    (told,) = caplog.messages
    number = inspect.getsourcelines(Observer)[1] + 5
    assert "avbench_epoch_ended raised ValueError" in told and f"test_plugin_failures.py:{number}: no board" in told


def failing_metric(rows: pd.DataFrame) -> float:
    """Fail."""
    return float(rows["no such column"].sum())


def test_a_metric_that_fails_is_told_once_without_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    rows = [
        {"id": f"{k}", "identity": f"p{k}", "cluster": f"p{k}", "forgery": k % 2, "clip_forgery": k % 2}
        | {"placement": placement, "start": 0.0, "end": 1.0, "score": k / 8, "reason": ""}
        for k in range(8)
        for placement in ("oracle", "sliding")
    ]
    spec = MetricSpec("broken", "Broken", f"{__name__}:failing_metric", ("binary",))
    found = measure(scores.coerce(pd.DataFrame(rows)), "binary", {"broken": spec}, resamples=5)
    assert found.metrics["oracle"]["video"]["broken"].value is None
    (told,) = caplog.records
    number = inspect.getsourcelines(failing_metric)[1] + 2
    assert f"test_plugin_failures.py:{number}" in told.getMessage() and told.exc_info is None


def scan(root: Path) -> Iterator[Any]:
    """Fail while samples are read."""
    yield {}["label"]


def test_what_is_beside_the_plugin_counts_as_its_own_and_libraries_do_not() -> None:
    with pytest.raises(PluginError) as caught, blaming("scan", scan, lambda: "reading x"):
        list(scan(Path("x")))
    number = inspect.getsourcelines(scan)[1] + 2
    assert str(caught.value).startswith("scan raised KeyError at ")
    assert str(caught.value).endswith(f"test_plugin_failures.py:{number}: 'label'; reading x")
    try:
        pd.DataFrame({"a": [1]})["b"]
    except KeyError as error:
        place = line_of(error, scan)
        assert place is not None and "test_plugin_failures.py" in shown(place), "not the line in pandas"


def test_a_plugin_that_exits_as_it_is_loaded_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "leaves.py"
    path.write_text("import sys\n\nsys.exit('usage: leaves')\n", "utf-8")
    assert main(["ls", "--plugin", str(path)]) == 2
    assert "leaves.py:3: usage: leaves" in capsys.readouterr().err


@pytest.fixture(autouse=True)
def _heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
