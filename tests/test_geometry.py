"""Pictures lie as ffmpeg shows them: every turn and mirror of the display matrix, and pixels that are not square."""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from avbench.media.geometry import Geometry
from avbench.media.placing import Place
from avbench.perturbations.conditions import choose
from avbench.perturbations.open_clip import OpenClip
from avbench.plugins.registry import installed
from avbench.types import ClipSpec, MediaError, Reason

COLOURS = {"R": (200, 50, 50), "G": (50, 200, 50), "B": (50, 50, 200), "S": (224, 172, 144)}
# The rows of the display matrix (a b, c d), and the colours of the corners: left and right above, left and right below.
CORNERS = {
    (1, 0, 0, 1): "RGBS",
    (-1, 0, 0, 1): "GRSB",
    (1, 0, 0, -1): "BSRG",
    (-1, 0, 0, -1): "SBGR",
    (0, 1, -1, 0): "BRSG",
    (0, -1, 1, 0): "GSRB",
    (0, 1, 1, 0): "RBGS",
    (0, -1, -1, 0): "SGBR",
}


def write(path: Path, picture: np.ndarray, sar: Fraction | None = None) -> Path:
    with av.open(str(path), "w") as file:
        options = {"crf": "4"} | ({"x264-params": f"sar={sar.numerator}/{sar.denominator}"} if sar else {})
        stream = file.add_stream("libx264", rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], "yuv444p"
        for _ in range(30):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())
    return path


def turned(source: Path, path: Path, matrix: tuple[float, ...]) -> Path:
    """Copy an MP4 with another display matrix, in the 16.16 of its track header."""
    data = bytearray(source.read_bytes())
    at = data.find(b"tkhd") + 44
    a, b, c, d = (round(value * 65_536) for value in matrix)
    data[at : at + 36] = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], ">i4").tobytes()
    path.write_bytes(bytes(data))
    return path


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    red, green, blue, skin = (np.full((32, 32, 3), COLOURS[name], np.uint8) for name in "RGBS")
    picture = np.vstack([np.hstack([red, green]), np.hstack([blue, skin])])
    return write(tmp_path_factory.mktemp("turned") / "plain.mp4", picture)


def nearest(colour: np.ndarray) -> str:
    return min(COLOURS, key=lambda name: np.abs(np.array(COLOURS[name]) - colour).sum())


def corners(picture: np.ndarray) -> str:
    half = picture.shape[0] // 2
    parts = (picture[y : y + half, x : x + half][4:-4, 4:-4] for y in (0, half) for x in (0, half))
    return "".join(nearest(part.mean(axis=(0, 1))) for part in parts)


def by_ffmpeg(path: Path, shape: tuple[int, int]) -> np.ndarray:
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg here")
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(*shape, 3)


def seen(path: Path, size: int = 64) -> np.ndarray:
    return OpenClip(path, ClipSpec(size=size), Place.start(0.0)).clean().frames[3]


@pytest.mark.parametrize("matrix", CORNERS)
def test_every_turn_and_mirror(plain: Path, tmp_path: Path, matrix: tuple[int, ...]) -> None:
    assert corners(seen(turned(plain, tmp_path / "turned.mp4", matrix))) == CORNERS[matrix]


@pytest.mark.parametrize("matrix", CORNERS)
def test_every_turn_and_mirror_is_ffmpegs(plain: Path, tmp_path: Path, matrix: tuple[int, ...]) -> None:
    path = turned(plain, tmp_path / "turned.mp4", matrix)
    assert corners(by_ffmpeg(path, (64, 64))) == CORNERS[matrix]


def test_other_angles_are_ffmpegs(plain: Path, tmp_path: Path) -> None:
    path = turned(plain, tmp_path / "tilted.mp4", (0.866, 0.5, -0.5, 0.866))
    theirs, ours = by_ffmpeg(path, (64, 64)).astype(float), seen(path).astype(float)
    assert np.abs(theirs - ours).mean() < 4 < np.abs(theirs - seen(plain)).mean()


@pytest.mark.parametrize("decoder", ["pyav", "decord"])
def test_no_decoder_leaves_out_a_mirror_or_a_pixel_aspect(plain: Path, tmp_path: Path, decoder: str) -> None:
    if decoder == "decord":
        pytest.importorskip("decord")
    for matrix, expected in CORNERS.items():
        path = turned(plain, tmp_path / "turned.mp4", matrix)
        clip = OpenClip(path, ClipSpec(size=64), Place.start(0.2), decoder=decoder).clean()
        assert corners(clip.frames[0]) == expected


def test_perturbed_pictures_lie_like_the_clean_ones(plain: Path, tmp_path: Path) -> None:
    asked = [c for c in choose(["video_compression", "contrast"], [1], installed().perturbations()) if c]
    for matrix in ((-1, 0, 0, 1), (0, 1, 1, 0)):
        path = turned(plain, tmp_path / "turned.mp4", matrix)
        opened = OpenClip(path, ClipSpec(size=64), Place.start(0.0), conditions=asked)
        for condition in asked:
            assert corners(opened.under(condition).frames[3]) == CORNERS[matrix], condition.name


@pytest.mark.parametrize(("sar", "width"), [(Fraction(4, 3), 36), (Fraction(8, 9), 54), (Fraction(16, 11), 33)])
def test_squares_are_square(tmp_path: Path, sar: Fraction, width: int) -> None:
    """A square of 48 pixels' height is stored as narrow or as wide as the pixels are not."""
    picture = np.zeros((96, 96, 3), np.uint8)
    picture[24:72, 48 - width // 2 : 48 - width // 2 + width] = 255
    path = write(tmp_path / "anamorphic.mp4", picture, sar)
    white = seen(path, min(96, round(96 * sar))).mean(axis=2) > 128
    wide, high = int(white.any(axis=0).sum()), int(white.any(axis=1).sum())
    assert abs(wide - high) <= 2, (wide, high)


def test_pixels_that_cannot_be_are_told(tmp_path: Path) -> None:
    path = write(tmp_path / "odd.mp4", np.zeros((64, 64, 3), np.uint8), Fraction(20, 1))
    with pytest.raises(MediaError, match="pixels of 20") as caught:
        seen(path)
    assert caught.value.reason == Reason.UNREADABLE


def test_turns_that_every_decoder_makes() -> None:
    turns = {matrix for matrix in CORNERS if Geometry(matrix).is_turned_only}
    assert {CORNERS[matrix] for matrix in turns} == {"RGBS", "SBGR", "BRSG", "GSRB"}
    assert not Geometry(pixel_aspect=4 / 3).is_turned_only and not Geometry((2, 1, -1, 2)).is_turned_only
