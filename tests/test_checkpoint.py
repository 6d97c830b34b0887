"""Weights and training states on disk: a full one is named and takes nothing away, pickles with code are refused."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from avbench.cli import main
from avbench.config import Config
from avbench.detector import Detector
from avbench.engine import checkpoint
from avbench.engine.state import BestEpoch, History, Position, TrainingState, moved_weights
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


def state_of(detector: Detector, saves: int = 1, frozen: Mapping[str, str] | None = None) -> TrainingState:
    """Return a detector's state before the second epoch."""
    model, left_out = moved_weights(detector, frozen or {})
    return TrainingState(
        position=Position(epoch=saves),
        model=model,
        frozen=left_out,
        optimizer=None,
        schedule=None,
        scaler={},
        history=History([{"epoch": 1, "loss": 0.5}], best=BestEpoch(1, {"auc": 0.75}, 0.5), saves=saves),
        without_clip={"short.mp4": "too_short"},
    )


@pytest.mark.parametrize(
    "save",
    [
        lambda detector, folder: state_of(detector, 2).save(folder),
        lambda detector, folder: checkpoint.save_weights(detector, folder / "state-00000002.pt", {}),
    ],
)
def test_a_full_disk_is_named_and_the_state_before_it_stays(
    save: Callable[[Detector, Path], None], tmp_path: Path
) -> None:
    detector = Wide()
    state_of(detector).save(tmp_path)
    with full_disk(5000), pytest.raises(OSError) as caught:
        save(detector, tmp_path)
    assert Path(caught.value.filename).name in {"writing.pt", "state-00000002.pt"}
    assert [path.name[:14] for path in tmp_path.iterdir()] == ["state-00000001"]
    state = TrainingState.load(tmp_path)
    assert state is not None and state.position == Position(0, 1, 0)


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
    state_of(detector, frozen=frozen).save(tmp_path)
    state = TrainingState.load(tmp_path)
    assert state is not None and set(state.frozen) == {"frozen.weight"}
    assert set(state.model) == {"layer.weight", "layer.bias", "frozen.bias"}
    other = Wide()
    with pytest.raises(UserError, match="frozen weights differ"):
        state.restore_weights(other, checkpoint.frozen_digests(other))


def test_a_state_comes_back_as_it_was_and_a_damaged_one_leaves_the_one_before_it(tmp_path: Path) -> None:
    for saves in (1, 2, 3):
        state_of(Wide(), saves).save(tmp_path)
    names = [path.name[:14] for path in sorted(tmp_path.iterdir())]
    assert names == ["state-00000002", "state-00000003"]
    state = TrainingState.load(tmp_path)
    assert state is not None and state.history == state_of(Wide(), 3).history
    assert state.without_clip == {"short.mp4": "too_short"} and state.position > Position(0, 2, 9)
    (newest,) = tmp_path.glob("state-00000003-*.pt")
    content = newest.read_bytes()
    newest.write_bytes(content[:1000])
    state = TrainingState.load(tmp_path)
    assert state is not None and state.history.saves == 2
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1  # of a weight, which torch would load
    newest.write_bytes(flipped)
    state = TrainingState.load(tmp_path)
    assert state is not None and state.history.saves == 2


def test_the_state_of_another_version_is_refused_in_one_line(tmp_path: Path) -> None:
    """Its random numbers were others, so that it would go on to something that no whole training gives."""
    state_of(Wide()).save(tmp_path)
    former = torch.load(next(tmp_path.glob("state-00000001-*.pt")), weights_only=True)
    del former["format"]
    torch.save(former, tmp_path / "state-00000002.pt")
    with pytest.raises(UserError, match=r"state-00000002.pt: an unfinished training of another version.*--fresh"):
        TrainingState.load(tmp_path)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("executed",)


def test_a_pickle_with_code_is_refused_unread(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"layer.weight": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(UserError, match="more than tensors"):
        checkpoint.load_weights(Wide(), tmp_path / "evil.pt")
    assert "executed" not in capsys.readouterr().out
