"""A matrix on Slurm: jobs through a stand-in for its commands, results as elsewhere; a lost job costs its cells."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from avbench.bench import slurm
from avbench.bench.backends import Backend, jobs_borne
from avbench.bench.matrix import run_matrix
from avbench.bench.spec import Computing, RunSpec
from avbench.cli import main
from avbench.errors import UserError
from avbench.plugins.registry import installed

PLUGIN = Path(__file__).with_name("small_detector.py")
SBATCH = r"""#!/bin/bash
# Starts the tasks of an array one by one, as Slurm would, and keeps how each ended for sacct.
here=$(dirname "$0")
cp "$1" "$here/script.sh"
last=$(grep -oP -- '--array=0-\K\d+' "$1" || echo none)
export SLURM_JOB_ID=7 SLURM_JOB_NODELIST=node SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 SLURM_PROCID=0
(
  for task in $(seq 0 $last); do
    export SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=$task
    timeout 100 bash "$1" && state=COMPLETED || state=FAILED
    echo "7_$task|$state|node" >> "$here/states"
  done
) > "$here/log" 2>&1 &
echo "Submitted batch job 7"
"""
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do [[ $1 == --output || $1 == --error ]] && shift; shift; done
exec "$@"
"""
SACCT = """#!/bin/bash
echo 'JobID|State|NodeList'
cat "$(dirname "$0")/states" 2>/dev/null
exit 0
"""
FATAL = '''
"""A detector whose process ends at once, as that of a job that is killed."""

import os

from avbench.detector import Detector
from avbench.hookspecs import hookimpl
from avbench.types import ClipSpec, DetectorSpec, Preset, Stage


class Fatal(Detector):
    def __init__(self, config):
        os._exit(9)


@hookimpl
def avbench_detectors():
    preset = Preset(clip=ClipSpec(frames=10, size=32), stages=(Stage(epochs=1, batch=8),))
    yield DetectorSpec(name="fatal", title="Fatal", load=f"{__name__}:Fatal", presets=(preset,))
'''


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put commands of a Slurm cluster of one node into a folder that is searched first, and return it."""
    pytest.importorskip("submitit")
    folder = tmp_path / "commands"
    folder.mkdir()
    for name, content in {"sbatch": SBATCH, "srun": SRUN, "sacct": SACCT, "scancel": "#!/bin/bash\n"}.items():
        (folder / name).write_text(content)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("submitit.SlurmJob.watcher._delay_s", 1)
    return folder


@pytest.mark.slow
def test_jobs_give_the_same_scores_and_one_that_dies_costs_its_cell_alone(
    tiny: Path, tmp_path: Path, cluster: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fatal.py").write_text(FATAL)
    words = ["matrix", "--protocol", "within_folder", "--task", "binary", "--data", f"folder={tiny}", "--no-mlflow"]
    words += ["--workers", "0", "--set", "epochs=1", "--plugin", str(PLUGIN)]
    assert main([*words, "--detector", "small", "--out", str(tmp_path / "here")]) == 0
    words += ["--plugin", str(tmp_path / "fatal.py"), "--backend", "slurm", "--slurm", "partition=gpu"]
    words += ["--slurm", "time=90", "--slurm", "gpus_per_task=1", "--jobs", "1"]
    assert main([*words, "--detector", "fatal", "small", "--out", str(tmp_path / "there")]) == 1
    printed = capsys.readouterr().out
    assert "1 of 2 cells finished" in printed and "Slurm job 7_0: ended without a result, FAILED" in printed
    one, two = (sorted((tmp_path / out / "runs").glob("*/scores.parquet")) for out in ("here", "there"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two] and len(one) == 1
    script = (cluster / "script.sh").read_text("utf-8")
    for line in ("--partition=gpu", "--time=90", "--gpus-per-task=1", "--array=0-1%1", "--job-name=avbench"):
        assert f"#SBATCH {line}\n" in script


def double(number: int) -> int:
    """Return twice a number, or fail at zero."""
    return 2 * number // (number != 0)


def test_local_jobs_return_what_they_compute_and_the_exception_where_they_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setattr(slurm, "_CLUSTER", "local")
    place = Backend(name="slurm", jobs=2, slurm={"time": 1}, folder=tmp_path)
    chains = [[(1,)], [(0,)], [(4,)]]
    results = set(place.computed(double, chains, lost=lambda call, reason: (call, reason)))
    ((_, reason),) = [one for one in results if isinstance(one, tuple)]
    assert {one for one in results if isinstance(one, int)} == {2, 8}
    assert "ZeroDivisionError: integer division or modulo by zero; its log is" in reason and "\n" not in reason


def test_a_preempted_job_is_called_again_with_the_same_arguments() -> None:
    pytest.importorskip("submitit")
    again = slurm._Resumed(double).checkpoint(21)
    assert again.result() == 42


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--backend", "slurm", "--slurm", "partitoin=gpu"], "did you mean 'partition'"),
        (["--backend", "slurm", "--slurm", "time=soon"], "--slurm time=soon: use a whole number of minutes"),
        (["--backend", "slurm", "--slurm", "mem_gb=0"], "--slurm mem_gb=0: use 1 or more"),
        (["--backend", "slurm", "--slurm", "gpu"], "--slurm gpu: use KEY=VALUE"),
        (["--backend", "loky", "--slurm", "time=9"], "this is --backend loky"),
        (["--backend", "slurm"], "run the command where sbatch and srun are"),
    ],
)
def test_what_slurm_is_not_asked_is_told_in_one_line(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    pytest.importorskip("submitit")
    command = ["matrix", "--detector", "majority", "--protocol", "within_folder", "--data", f"folder={tiny}"]
    assert main([*command, "--out", str(tmp_path), *words]) == 2
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error


def test_without_submitit_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avbench.bench.backends.find_spec", lambda name: None)
    with pytest.raises(UserError, match="cluster"):
        Backend(name="slurm")


def test_a_job_has_a_core_for_each_thread_of_its_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    asked: list[Mapping[str, str | int]] = []

    def none(*calls: object, options: Mapping[str, str | int], **more: object) -> list[object]:
        asked.append(options)
        return []

    monkeypatch.setattr(slurm, "computed", none)
    specs = [
        RunSpec(detector="chance", protocol=installed().protocol("within_folder"), task="binary", overrides=overrides)
        for overrides in ((), ("threads=4",))
    ]
    for options in ({}, {"cpus_per_task": 6}):
        run_matrix(specs, installed(), computing=Computing(results=tmp_path), backend="slurm", slurm=options)
    assert [options["cpus_per_task"] for options in asked] == [4, 6]
    assert Backend(jobs=1).is_this_process and not Backend(name="slurm", jobs=1).is_this_process


def test_as_many_runs_go_at_a_time_as_the_machine_bears(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avbench.bench.backends.cores", lambda: 8)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert [jobs_borne("loky", "auto", threads) for threads in (1, 3, 8, 99)] == [8, 2, 1, 1]
    assert jobs_borne("slurm", "auto", 1) == 256
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    assert [jobs_borne("loky", device, 1) for device in ("auto", "cpu", "cuda:0")] == [4, 8, 1]
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert jobs_borne("loky", "auto", 1) == 1, "two processes share each run already"
