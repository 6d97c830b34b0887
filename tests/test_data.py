"""From samples to batches: placement, the regions of a picture, plugins that track or decode, collation."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from avbench.data.batches import collate, load_clip
from avbench.data.requests import ClipRequest
from avbench.hookspecs import hookimpl
from avbench.media.frames import cut_region, cut_tracked, fill_gaps
from avbench.media.placing import Place, Window
from avbench.perturbations.conditions import Condition
from avbench.perturbations.open_clip import OpenClip
from avbench.plugins.registry import Plugins, installed
from avbench.types import Clip, ClipBatch, ClipSpec, Forgery, MediaError, MediaInfo, Reason, Sample

SMALL = ClipSpec(size=64)


def test_placement() -> None:
    assert Place.start(3.25).begin(10.0, 1.0) == 3.25
    assert Place.fraction(0.5).begin(10.0, 1.0) == 4.5 and Place.fraction(0.5).begin(0.4, 1.0) == 0.0
    assert Place.centre(5.0).begin(10.0, 1.0) == 4.5
    assert Place.centre(0.2).begin(10.0, 1.0) == 0.0 and Place.centre(9.9).begin(10.0, 1.0) == 9.0
    assert Place.centre(0.3).begin(0.4, 1.0) == 0.0
    sample = Sample("v", Path("v.mp4"), Forgery.RARV, skip=0.25)
    assert ClipRequest(sample, Forgery.RARV, centre=2.0).where == Place.centre(2.0, skip=0.25)
    for both in ({}, {"start": 1.0, "centre": 2.0}):
        with pytest.raises(ValueError, match="places a clip"):
            _ = ClipRequest(sample, Forgery.RARV, **both).where


def test_the_first_seconds_of_a_file_can_be_left_out() -> None:
    info = MediaInfo(duration=10.0, fps=25.0, frames=250, has_video=True, has_audio=False)
    path = Path("v.mp4")
    assert Window.of(path, SMALL, Place.start(1.0, skip=0.5), info).begin == 1.5
    assert Window.of(path, SMALL, Place.fraction(1.0, skip=0.5), info).begin == 9.0
    whole = Window.of(path, ClipSpec(frames=500, whole=True), Place.centre(7.0, skip=2.0), info)
    assert whole.begin == 2.0 and whole.spec.frames == 200
    assert whole.times[:2] == pytest.approx([2.02, 2.06])


def test_regions_of_a_picture() -> None:
    rows, columns = np.mgrid[0:100, 0:160]
    picture = np.stack([rows, columns, np.zeros_like(rows)], axis=2).astype(np.uint8)
    frame = cut_region(picture, "frame", 100)
    assert frame.shape == (100, 100, 3) and tuple(frame[0, 0]) == (0, 30, 0) and tuple(frame[99, 99]) == (99, 129, 0)
    np.testing.assert_array_equal(cut_region(picture, "face", 100), frame)
    mouth = cut_region(picture, "mouth", 50)
    assert tuple(mouth[0, 0]) == (50, 55, 0) and tuple(mouth[49, 49]) == (99, 104, 0)
    box = np.array([60.0, 30.0, 90.0, 70.0])  # centre (75, 50), the square's side is 1.3 x 40
    face = cut_tracked(picture, box, "face", 52)
    assert tuple(face[0, 0]) == (24, 49, 0) and tuple(face[51, 51]) == (75, 100, 0)
    mouth = cut_tracked(picture, box, "mouth", 26)
    assert tuple(mouth[0, 0]) == (50, 62, 0) and tuple(mouth[25, 25]) == (75, 87, 0)
    corner = cut_tracked(picture, np.array([-20.0, -20.0, 20.0, 20.0]), "face", 52)
    assert tuple(corner[0, 0]) == (0, 0, 0) and tuple(corner[51, 51]) == (25, 25, 0)
    assert cut_region(picture, "frame", 25).shape == (25, 25, 3)


def test_frames_without_a_face_take_their_neighbours_box() -> None:
    boxes = np.full((5, 4), np.nan)
    assert fill_gaps(boxes) is None
    boxes[1], boxes[4] = 1.0, 4.0
    np.testing.assert_array_equal(fill_gaps(boxes), np.repeat([[1.0], [1.0], [1.0], [4.0], [4.0]], 4, axis=1))


class FacePlugin:
    """Tracks the same box everywhere, or none in files called empty."""

    @hookimpl
    def avbench_face_track(self, path: Path, frames: np.ndarray, times: np.ndarray) -> np.ndarray:
        assert frames.shape == (25, 64, 64, 3) and times[0] == pytest.approx(0.22)
        return np.full((25, 4), np.nan) if path.stem == "empty" else np.tile([8.0, 8.0, 28.0, 28.0], (25, 1))


class DecodePlugin:
    """Decodes grey clips for files that end in .mine."""

    @hookimpl
    def avbench_decode(self, path: Path, start: float, spec: ClipSpec) -> Clip | None:
        if path.suffix != ".mine":
            return None
        frames = np.full((25, 64, 64, 3), round(start * 10), np.uint8)
        return Clip(frames, np.zeros(16_000, np.float32), 25, 16_000, True, True, start, start + spec.seconds)


def request(path: Path, start: float | None = None, fraction: float | None = None) -> ClipRequest:
    sample = Sample(path.name, path, Forgery.FARV, fps=25.0, frames=125)
    return ClipRequest(sample, Forgery.FARV, start=start, fraction=fraction, seed=7)


def test_plugins_track_faces_and_decode(tmp_path: Path) -> None:
    plugins = Plugins()
    plugins.manager.register(FacePlugin())
    plugins.manager.register(DecodePlugin())
    hook = plugins.manager.hook
    face = ClipSpec(size=26, region="face")
    path = tmp_path / "face.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "bgr0"
        for picture in np.random.default_rng(0).integers(0, 255, (40, 64, 64, 3), np.uint8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    tracked = load_clip(request(path, start=0.2), face, frozenset({"video"}), hook)
    full = OpenClip(path, SMALL, Place.start(0.2)).clean()
    np.testing.assert_array_equal(tracked.frames, full.frames[:, 5:31, 5:31])
    path.rename(tmp_path / "empty.mkv")
    with pytest.raises(MediaError) as caught:
        load_clip(request(tmp_path / "empty.mkv", start=0.2), face, frozenset({"video"}), hook)
    assert caught.value.reason == Reason.NO_FACE
    mine = load_clip(request(tmp_path / "a.mine", fraction=0.5), SMALL, frozenset({"video", "audio"}), hook)
    assert mine.start == 2.0 and (mine.frames == 20).all()
    with pytest.raises(MediaError, match="a plugin decoded"):
        load_clip(request(tmp_path / "a.mine", start=0.0), ClipSpec(), frozenset({"video"}), hook)


def test_a_batch_holds_its_clips() -> None:
    def clip(frames: int) -> Clip:
        picture = np.random.default_rng(frames).integers(1, 255, (frames, 8, 8, 3), np.uint8)
        sound = np.full(frames * 640, frames / 100, np.float32)
        return Clip(picture, sound, frames, frames * 600, True, frames > 20, 0.0, frames / 25)

    loaded = [(request(Path(f"{n}.mp4"), start=0.0), clip(n)) for n in (12, 30)]
    batch = collate(loaded)
    assert batch.video.shape == (2, 30, 3, 8, 8) and batch.audio.shape == (2, 19_200)
    assert batch.video.dtype == torch.uint8 and batch.video.is_contiguous() and batch.audio.dtype == torch.float32
    assert batch.frames.tolist() == [12, 30] and batch.samples.tolist() == [7200, 18_000]
    assert not batch.video[0, 12:].any() and not batch.audio[0, 7680:].any()
    for row, (_, one) in enumerate(loaded):
        shown = batch.video[row, : len(one.frames)].permute(0, 2, 3, 1).numpy()
        np.testing.assert_array_equal(shown, one.frames)
        np.testing.assert_array_equal(batch.audio[row, : len(one.sound)].numpy(), one.sound)
    assert batch.forgery.tolist() == [2, 2] and batch.seed.tolist() == [7, 7] and batch.ids == ("12.mp4", "30.mp4")
    assert batch.has_video.tolist() == [True, True] and batch.has_audio.tolist() == [False, True]


def test_whatever_of_a_batch_is_a_tensor_goes_along() -> None:
    """Every field but `ids` is one by its declaration, and those of `annotations` are."""
    rows = {f.name: torch.arange(6).reshape(3, 2) for f in fields(ClipBatch) if f.type == "torch.Tensor"}
    assert len(rows) == 8
    batch = ClipBatch(**rows, ids=("a", "b", "c"), annotations={"au": torch.arange(3.0)})
    moved, cut, taken = batch.to("meta"), batch.part(1, 3), batch.take([2, 0])
    assert moved.ids == batch.ids and cut.ids == ("b", "c") and taken.ids == ("c", "a")
    assert moved.annotations["au"].is_meta and cut.annotations["au"].tolist() == [1, 2]
    for name in rows:
        assert getattr(moved, name).is_meta and getattr(batch, name).device.type == "cpu"
        assert getattr(cut, name).tolist() == [[2, 3], [4, 5]] and getattr(taken, name).tolist() == [[4, 5], [0, 1]]
    cut.seed.fill_(9)
    assert batch.seed.tolist() == [[0, 1], [9, 9], [9, 9]] and taken.seed.tolist() == [[4, 5], [0, 1]]


@pytest.mark.parametrize("condition", [None, Condition(installed().perturbations()["jpeg"], 3)])
def test_a_batch_says_what_the_header_says_of_the_file(tiny: Path, condition: Condition | None) -> None:
    path = tiny / "person0_RARV.mp4"
    asked = replace(request(path, start=0.2), condition=condition)
    clip = load_clip(asked, SMALL, frozenset({"video", "audio"}))
    mine = Clip(clip.frames, clip.sound, 25, 16_000, True, True, 0.0, 1.0)  # decoded by something that read no header
    facts = collate([(asked, clip), (asked, mine)]).annotations
    size = path.stat().st_size
    expected = {"file_seconds": 1.2, "file_bytes": size, "file_kbps": size * 8 / 1.2 / 1000}
    for name, value in {**expected, "file_fps": 25.0, "file_frames": 30.0}.items():
        assert facts[name][0].item() == pytest.approx(value, rel=1e-6) and facts[name][1].isnan(), name


def test_of_the_file_alone_nothing_is_decoded(tiny: Path) -> None:
    whole = ClipSpec(frames=0, audio_samples=0, whole=True)
    clip = load_clip(request(tiny / "person0_RARV.mp4", start=0.0), whole, frozenset())
    assert not clip.has_video and not clip.has_audio and (clip.start, clip.end) == (0.0, pytest.approx(1.2))
    batch = collate([(request(tiny / "person0_RARV.mp4", start=0.0), clip)])
    assert batch.video.numel() == batch.audio.numel() == 0 and batch.annotations["file_frames"].tolist() == [30]
    with pytest.raises(MediaError):
        load_clip(request(tiny / "labels.csv", start=0.0), whole, frozenset())
