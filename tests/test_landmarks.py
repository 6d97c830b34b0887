"""Squares by landmarks: similarity to the mean face, windows of both sources, clamping, through plugins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from avbench.bench.resolving import region_of
from avbench.data.batches import load_clip
from avbench.data.requests import ClipRequest
from avbench.hookspecs import hookimpl
from avbench.media.landmarks import CANVAS, cut_square, mean_face, similarity, squares
from avbench.plugins.registry import Plugins
from avbench.types import ClipSpec, Forgery, MediaError, Reason, Sample

Array = NDArray[np.float64]


def moved(landmarks: Array, turn: float, scale: float, shift: tuple[float, float]) -> Array:
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return landmarks @ matrix.T + shift


def applied(mapping: Array, points: Array) -> Array:
    return points @ mapping[:, :2].T + mapping[:, 2]


def coordinates() -> NDArray[np.uint8]:
    """Return a picture whose pixels hold their own row and column."""
    rows, columns = np.mgrid[0:CANVAS, 0:CANVAS]
    return np.stack([rows, columns, np.zeros_like(rows)], axis=2).astype(np.uint8)


def test_mean_face_is_the_published_one(specs_root: Path) -> None:
    np.testing.assert_array_equal(mean_face(), np.load(specs_root / "data" / "mean_face_68.npy"))


def test_similarity_undoes_a_turn_and_is_the_least_squares_one() -> None:
    face = mean_face()
    mapping = similarity(moved(face, 0.4, 0.3, (10, -7)), face)
    np.testing.assert_allclose(applied(mapping, moved(face, 0.4, 0.3, (10, -7))), face, atol=1e-9)
    noisy = moved(face, -0.2, 1.4, (3, 5)) + np.random.default_rng(0).normal(0, 4, face.shape)
    x, y = noisy.T
    zero, one = np.zeros_like(x), np.ones_like(x)
    equations = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, c, d = np.linalg.lstsq(equations, np.concatenate(list(face.T)), rcond=None)[0]
    np.testing.assert_allclose(similarity(noisy, face), [[a, -b, c], [b, a, d]], atol=1e-9)


@pytest.mark.parametrize(("region", "top", "left"), [("mouth", 110, 81), ("face", 45, 57)])
def test_mean_face_itself_is_cut_without_a_turn(region: str, top: int, left: int) -> None:
    """The mean face's mouth has its middle at (129.3, 157.8), landmarks 15 to 67 theirs at (131.5, 120.3)."""
    side = {"mouth": 96, "face": 150}[region]
    maps = squares(mean_face()[None], region)  # type: ignore[arg-type]
    square = cut_square(coordinates(), maps[0], region, side)  # type: ignore[arg-type]
    np.testing.assert_array_equal(square, coordinates()[top : top + side, left : left + side])


def test_turned_face_is_set_upright_and_its_mouth_centred() -> None:
    landmarks = np.stack([moved(mean_face(), 0.1 * k, 0.5, (40 + k, 60)) for k in range(4)])
    maps = squares(landmarks, "face")
    for mapping, frame in zip(maps, landmarks, strict=True):
        upright = applied(mapping, frame) - applied(mapping, frame).mean(axis=0)
        assert abs(upright[45, 1] - upright[36, 1]) < 12 < upright[45, 0] - upright[36, 0]
    still = np.repeat(landmarks[2:3], 4, axis=0)
    mouths = np.stack([applied(m, f)[48:].mean(axis=0) for m, f in zip(squares(still, "mouth"), still, strict=True)])
    assert np.abs(mouths - 48).max() <= 0.5


def test_square_stays_on_the_canvas() -> None:
    landmarks = mean_face()[None].copy()
    landmarks[:, 48:] += 200  # a mouth far off, though eyes and nose are in place
    square = cut_square(coordinates(), squares(landmarks, "mouth")[0], "mouth", 96)
    np.testing.assert_array_equal(square, coordinates()[-96:, -96:])


def windows(smooth: Callable[[Array], Array], frames: int) -> Array:
    """Return by how much each frame's map answers to each frame's landmarks (frames, frames), bool."""
    still = np.repeat(mean_face()[None], frames, axis=0)
    base, reached = smooth(still), np.zeros((frames, frames), bool)
    for k in range(frames):
        changed = still.copy()
        changed[k, [33, 36, 45]] += [[3.0, 0.0], [0.0, 4.0], [-2.0, 1.0]]  # of the eyes and the nose, not the mouth
        reached[:, k] = np.abs(smooth(changed)[:, :, :2] - base[:, :, :2]).max(axis=(1, 2)) > 1e-9
    return reached


def test_mouths_look_ahead_and_the_last_frames_share_a_window() -> None:
    reached = windows(lambda landmarks: squares(landmarks, "mouth"), 25)
    for i in range(25):
        first = min(i, 13)
        assert np.flatnonzero(reached[i]).tolist() == list(range(first, first + 12))
    assert windows(lambda landmarks: squares(landmarks, "mouth"), 5).all()  # shorter than a window: all of it


def test_faces_look_to_both_sides() -> None:
    reached = windows(lambda landmarks: squares(landmarks, "face"), 25)
    for i in range(25):
        reach = min(6, i, 24 - i)
        assert np.flatnonzero(reached[i]).tolist() == list(range(i - reach, i + reach + 1))


class Landmarks:
    """Finds a face a quarter as large as the mean face, in the first frame alone; none in files called empty."""

    @hookimpl
    def avbench_face_track(self, path: Path, frames: np.ndarray, times: np.ndarray) -> np.ndarray:
        found = np.full((len(frames), 68, 2), np.nan)
        if path.stem != "empty":
            found[0] = mean_face() / 4
        return found


def test_plugins_give_landmarks(tiny: Path, tmp_path: Path) -> None:
    plugins = Plugins()
    plugins.manager.register(Landmarks())
    path = tiny / "person0_RARV.mp4"

    def load(where: Path, region: str, size: int) -> NDArray[np.uint8]:
        sample = Sample(where.name, where, Forgery.RARV, fps=25.0, frames=30)
        spec = ClipSpec(frames=4, size=size, region=region, audio_samples=0)  # type: ignore[arg-type]
        request = ClipRequest(sample, Forgery.RARV, start=0.0)
        return load_clip(request, spec, frozenset({"video"}), plugins.manager.hook).frames

    whole, mouths = load(path, "frame", 64), load(path, "mouth", 96)
    assert mouths.shape == (4, 96, 96, 3)
    mapping = np.array([[4.0, 0, -81], [0, 4.0, -110]])
    for picture, mouth in zip(whole, mouths, strict=True):
        np.testing.assert_array_equal(mouth, cut_square(picture, mapping, "mouth", 96))
    assert load(path, "mouth", 48).shape == (4, 48, 48, 3) and load(path, "face", 150).shape == (4, 150, 150, 3)
    (tmp_path / "empty.mp4").write_bytes(path.read_bytes())
    with pytest.raises(MediaError) as error:
        load(tmp_path / "empty.mp4", "mouth", 96)
    assert error.value.reason == Reason.NO_FACE


def test_card_tells_who_finds_the_mouth(monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = Plugins()
    monkeypatch.setattr("avbench.bench.resolving.installed", lambda: plugins)
    assert region_of(ClipSpec(frames=0)) == "none" and region_of(ClipSpec()) == "frame"
    assert region_of(ClipSpec(region="mouth")) == "mouth, a fixed window"
    plugins.manager.register(Landmarks(), name="my tracker")
    assert region_of(ClipSpec(region="mouth")) == "mouth, tracked by my tracker"
    assert region_of(ClipSpec()) == "frame"
