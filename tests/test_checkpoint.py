"""Weights and training states on disk: a full one is named and takes nothing away, pickles with code are refused."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from avbench.cli import main
from avbench.config import Config
from avbench.detector import Detector
from avbench.engine import checkpoint
from avbench.errors import UserError


class Wide(Detector):
    """A detector of 40 kB."""

    def __init__(self) -> None:
        super().__init__(Config("wide", "binary"))
        self.layer, self.frozen = torch.nn.Linear(100, 50), torch.nn.Linear(100, 50)
        self.frozen.requires_grad_(False)


@contextmanager
def full_disk(most: int) -> Iterator[None]:
    """Let no file grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    "save",
    [
        lambda detector, folder: checkpoint.save_state(folder, 2, detector, {}, {"epoch": 2}),
        lambda detector, folder: checkpoint.save_weights(detector, folder / "state-00000002.pt", {}),
    ],
)
def test_a_full_disk_is_named_and_the_state_before_it_stays(
    save: Callable[[Detector, Path], None], tmp_path: Path
) -> None:
    detector = Wide()
    checkpoint.save_state(tmp_path, 1, detector, {}, {"epoch": 1})
    with full_disk(5000), pytest.raises(OSError) as caught:
        save(detector, tmp_path)
    assert caught.value.filename == str(tmp_path / "state-00000002.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["state-00000001.pt"]
    state = checkpoint.load_state(tmp_path)
    assert state is not None and state["epoch"] == 1


def test_results_that_cannot_be_written_are_one_line(
    small_command: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(small_command(tmp_path / "file")) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f"avbench: error: {tmp_path / 'file'}/") and "Not a directory" in line


def test_frozen_weights_are_left_out_while_they_are_what_they_were_and_held_to_it(tmp_path: Path) -> None:
    detector = Wide()
    frozen = checkpoint.frozen_digests(detector)
    assert set(frozen) == {"frozen.weight", "frozen.bias"}
    with torch.no_grad():
        detector.frozen.bias.add_(1)
    checkpoint.save_state(tmp_path, 1, detector, frozen, {})
    state = checkpoint.load_state(tmp_path)
    assert state is not None and set(state["frozen"]) == {"frozen.weight"}
    assert set(state["model"]) == {"layer.weight", "layer.bias", "frozen.bias"}
    other = Wide()
    with pytest.raises(UserError, match="frozen weights differ"):
        checkpoint.restore_model(other, checkpoint.frozen_digests(other), state)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("executed",)


def test_a_pickle_with_code_is_refused_unread(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"layer.weight": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(UserError, match="more than tensors"):
        checkpoint.load_weights(Wide(), tmp_path / "evil.pt")
    assert "executed" not in capsys.readouterr().out
