"""Threads and kernels are those of the configuration while a run lasts, and what was met is told."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_info

from avbench.config import Config, resolve, threads_of
from avbench.engine import environment as surroundings
from avbench.engine import loop
from avbench.engine.environment import environment
from avbench.engine.numerics import computing_as
from avbench.engine.state import History, Position, TrainingState
from avbench.errors import UserError
from avbench.records.card import Card
from avbench.records.card_parts import Environment, Gpu
from avbench.records.training import FinishedTraining
from avbench.types import DetectorSpec, Preset

CPU = torch.device("cpu")
SPEC = DetectorSpec(name="example", load="nowhere:Nothing")


def test_threads_are_a_setting_of_every_detector_and_part_of_its_hash() -> None:
    plain, three = resolve(SPEC, "binary"), resolve(SPEC, "binary", overrides=["threads=3"])
    assert (plain.threads, three.threads) == (1, 3) and plain.as_dict() != three.as_dict()
    assert not resolve(SPEC, "binary", overrides=["deterministic=no"]).as_dict()["deterministic"]
    for text in ("threads=0", "threads=many"):
        with pytest.raises(UserError, match=f"--set {text}"):
            resolve(SPEC, "binary", overrides=[text])
    own = replace(SPEC, presets=(Preset(settings={"threads": 4}),))
    with pytest.raises(UserError, match="threads is a setting of all detectors"):
        resolve(own, "binary")
    assert [threads_of(given) for given in ((), ("epochs=9",), ("threads=2", "rawgat_st.threads=5"))] == [1, 1, 5]


def test_torch_and_other_libraries_compute_with_as_many_threads_and_as_before_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    before = torch.get_num_threads(), [pool["num_threads"] for pool in threadpool_info()]
    for count in (3, 1):
        with computing_as(Config("example", "binary", threads=count), CPU) as look:
            assert torch.get_num_threads() == look().threads == count
            assert {pool["num_threads"] for pool in threadpool_info()} == {count}
            assert os.environ["OMP_NUM_THREADS"] == os.environ["OPENBLAS_NUM_THREADS"] == str(count)
    assert before == (torch.get_num_threads(), [pool["num_threads"] for pool in threadpool_info()])
    assert os.environ["OMP_NUM_THREADS"] == "7" and "OPENBLAS_NUM_THREADS" not in os.environ


def test_the_environment_names_processor_instruction_set_and_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    found = environment(CPU)
    assert found.processor.model and found.processor.capability == torch.backends.cpu.get_cpu_capability()
    assert found.processor.onednn[0].isdigit() and set(found.processor.blas) == {"torch", "numpy"}
    assert found.variables["ONEDNN_MAX_CPU_ISA"] == "AVX2" and found.gpu is None and found.packages["torch"]
    assert environment().threads is None, "where torch computes nothing"


def test_a_gpu_takes_deterministic_kernels_and_what_has_none_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as it can be seen without one: torch warns of some operations on a CPU too."""

    def gpu(device: torch.device, nondeterministic: set[str]) -> Gpu:
        return Gpu(
            deterministic=torch.are_deterministic_algorithms_enabled(), nondeterministic=tuple(sorted(nondeterministic))
        )

    monkeypatch.setattr(surroundings, "_gpu", gpu)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    config, cuda = Config("example", "binary"), torch.device("cuda")
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with computing_as(config, cuda) as look:
            assert look().gpu == Gpu(deterministic=True)
            for _ in range(2):
                torch.zeros(4).put_(torch.tensor([1]), torch.tensor([2.0]))
            warnings.warn("another", stacklevel=1)
            assert look().gpu == Gpu(deterministic=True, nondeterministic=("put_",))
            assert look().variables["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
            assert torch.backends.cudnn.deterministic and not torch.backends.cudnn.benchmark
    assert [str(one.message) for one in shown] == ["another"]
    assert not torch.are_deterministic_algorithms_enabled() and not torch.backends.cudnn.deterministic
    with computing_as(replace(config, deterministic=False), cuda) as look:
        assert look().gpu == Gpu()
    with computing_as(config, CPU):
        assert not torch.are_deterministic_algorithms_enabled()


def test_card_and_training_say_where_they_were_computed(
    small_run: Callable[..., tuple[Card, Path]], tmp_path: Path
) -> None:
    words = ("--set", "epochs=1", "--placement", "oracle", "--workers", "0")
    one, _ = small_run(tmp_path, *words)
    two, _ = small_run(tmp_path, *words, "--set", "threads=2")
    assert (one.environment.threads, two.environment.threads) == (1, 2)
    assert one.training.id != two.training.id and one.id != two.id
    (trained,) = two.training.environments
    assert trained.threads == 2 and trained.processor == two.environment.processor and trained.git.commit
    assert two.training.config["threads"] == 2 and two.device.startswith("CPU, 2 threads")
    record = FinishedTraining.load(tmp_path / "trainings" / two.training.id)
    assert record is not None and record.environments == two.training.environments


def test_a_training_that_goes_on_elsewhere_keeps_both_places(tmp_path: Path) -> None:
    here = Environment(threads=1, command=("run",))
    history = History(environments=(Environment(threads=1, machine="elsewhere"), here))
    TrainingState(
        position=Position(), model={}, frozen={}, optimizer=None, schedule=None, scaler={}, history=history
    ).save(tmp_path)
    state = TrainingState.load(tmp_path)
    assert state is not None and state.history.environments == history.environments
    going_on = loop.TrainingLoop.__new__(loop.TrainingLoop)
    going_on.history, now = state.history, replace(here, command=("run", "again"))
    going_on._look = lambda: now
    assert going_on.environments() == (history.environments[0], now), "the same place again is told once"
