"""Frame-level truth: aligned to frames by presentation time, nan where unknown, carried by batches; no protocols."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avbench import config
from avbench.data.annotations import annotations_of
from avbench.data.batches import collate, load_clip, load_clips
from avbench.data.requests import ClipRequest
from avbench.errors import UserError
from avbench.hookspecs import hookimpl
from avbench.plugins.registry import Source, installed
from avbench.protocol import known
from avbench.series import Series
from avbench.types import AnnotationSpec, ClipSpec, DatasetSpec, DetectorSpec, Forgery, Preset, Sample


def read_numbers(path: Path) -> Series:
    """Return for every frame of a 25 fps video its number and ten times that; frame 7 is unknown."""
    count = int(path.read_text())
    numbers = np.arange(count, dtype=np.float32)
    numbers[7] = np.nan
    return Series.of_frames(np.stack([numbers, 10 * numbers], axis=1), 25.0)


class Truthful:
    @hookimpl
    def avbench_datasets(self) -> list[DatasetSpec]:
        target = AnnotationSpec("number", f"{__name__}:read_numbers", ("one", "ten"))
        return [DatasetSpec("truthful", "Truthful", "x:y", annotations=(target,), forgery_labels=False)]


@pytest.fixture(autouse=True)
def dataset() -> Iterator[None]:
    manager, plugin = installed().manager, Truthful()
    installed()._register(plugin, Source("truthful", "this test"))
    yield
    manager.unregister(plugin)
    installed()._collected.clear()


def sample_of(tiny: Path, folder: Path) -> Sample:
    (folder / "truth.txt").write_text("30")
    truth = ("number", folder / "truth.txt")
    return Sample("a", tiny / "person0_RARV.mp4", Forgery.RARV, "truthful", annotations=(truth,))


def test_rows_hold_from_their_start_for_as_long_as_they_last() -> None:
    phonemes = Series(np.array([0.1, 0.2, 0.5]), np.array([0.1, 0.05, 0.5]), np.array([[1], [2], [3]], np.float32))
    found = phonemes.at(np.array([0.0, 0.0995, 0.15, 0.21, 0.3, 0.5, 0.9, 1.1]))[:, 0]
    np.testing.assert_array_equal(found, [np.nan, 1, 1, 2, np.nan, 3, 3, np.nan])
    with pytest.raises(ValueError, match="values for"):
        Series(np.zeros(2), np.zeros(2), np.zeros((3, 1), np.float32))


@pytest.mark.parametrize(("fps", "step"), [(25.0, 1), (12.5, 2), (50.0, 0.5)])
def test_targets_are_those_of_the_frames_on_the_screen(tiny: Path, tmp_path: Path, fps: float, step: float) -> None:
    sample = sample_of(tiny, tmp_path)
    found = annotations_of(sample, ClipSpec(fps=fps, annotations=("number",)), 0.4, 8)["number"]
    on_screen = [int(10 + (k + 0.5) * step) for k in range(8)]
    np.testing.assert_array_equal(found[:, 0], on_screen)
    np.testing.assert_array_equal(found[:, 1], 10 * found[:, 0])


def test_a_batch_carries_them_and_nan_where_nothing_is_known(tiny: Path, tmp_path: Path) -> None:
    spec = ClipSpec(frames=12, size=16, audio_samples=0, annotations=("number",))
    sample = sample_of(tiny, tmp_path)
    asked = [ClipRequest(sample, Forgery.RARV, start=0.0), ClipRequest(sample, Forgery.RARV, start=0.88)]
    asked.append(ClipRequest(replace(sample, annotations=()), Forgery.RARV, start=0.0))
    batch = collate([(one, load_clip(one, spec, frozenset({"video"}))) for one in asked])
    number = batch.annotations["number"]
    assert number.shape == (3, 12, 2) and number.dtype.is_floating_point
    assert number[0, :7, 0].tolist() == list(range(7)) and number[0, 7].isnan().all()
    assert number[1, :8, 0].tolist() == list(range(22, 30)) and number[1, 8:].isnan().all(), "the video ends"
    assert batch.frames.tolist() == [12, 8, 12] and number[2].isnan().all()
    assert (
        batch.part(1, 2).annotations["number"][0, 0, 0] == 22
        and batch.take([1, 0]).annotations["number"][0, 0, 0] == 22
    )


def test_clips_of_unequal_length_are_padded_with_nan(tiny: Path, tmp_path: Path) -> None:
    spec = ClipSpec(frames=40, size=16, audio_samples=0, whole=True, annotations=("number",))
    request = ClipRequest(sample_of(tiny, tmp_path), Forgery.RARV, start=0.0)
    long = load_clip(request, spec, frozenset())
    short = replace(long, frames=long.frames[:20], annotations={"number": long.annotations["number"][:20]})
    number = collate([(request, long), (request, short)]).annotations["number"]
    assert number.shape == (2, 30, 2) and number[1, 20:].isnan().all() and number[1, 19, 0] == 19


def test_nothing_is_read_unless_asked_for_and_a_wrong_name_is_told(tiny: Path, tmp_path: Path) -> None:
    sample = sample_of(tiny, tmp_path)
    request = ClipRequest(sample, Forgery.RARV, start=0.0)
    (tmp_path / "truth.txt").unlink()
    assert not load_clips([request], ClipSpec(size=16), frozenset())[0].annotations  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="declares no target 'words'"):
        load_clip(request, ClipSpec(size=16, annotations=("words",)), frozenset())


def test_a_dataset_without_forgery_labels_has_no_protocols() -> None:
    names = known(installed().datasets())
    assert "within_lavdf" in names and not [name for name in names if "truthful" in name]


def test_configurations_without_targets_keep_their_hash_and_the_names_are_not_to_be_set() -> None:
    spec = DetectorSpec("example", presets=(Preset(),))
    plain = config.resolve(spec, "binary")
    assert "annotations" not in plain.as_dict()["clip"]
    asking = replace(plain, clip=replace(plain.clip, annotations=("number",)))
    assert asking.as_dict()["clip"]["annotations"] == ("number",)
    with pytest.raises(UserError, match="no setting"):
        config.resolve(spec, "binary", overrides=["clip.annotations=number"])
