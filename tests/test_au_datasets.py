"""DISFA, DISFA+ and BP4D in tiny copies of their official layouts: labels, folds, pictures as videos, what is wrong."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from avbench.data.batches import collate, load_clip
from avbench.data.databases import Database, locate
from avbench.data.placement import sliding
from avbench.data.requests import ClipRequest
from avbench.data.splits import split
from avbench.errors import UserError
from avbench.plugins.registry import installed
from avbench.protocol import known
from avbench.types import ClipSpec, MediaError, Reason
from avbench_au import bp4d, disfa
from avbench_au.check import check_bp4d, check_disfa
from avbench_au.units import BP4D_UNITS, DISFA_UNITS

FRAME = ClipSpec(frames=1, size=16, audio_samples=0, annotations=("au",))
DISFA_FRAMES, CODED = 6, (2440, 2441, 2445)


def picture(path: Path, grey: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((24, 24, 3), (0, 0, grey), np.uint8))  # red, as OpenCV orders colours


def intensity(person: int, unit: int, frame: int) -> int:
    return (person + unit + frame) % 6


@pytest.fixture
def disfa_root(tmp_path: Path) -> Path:
    root = tmp_path / "DISFA"
    for person, name in enumerate(("SN001", "SN002", "SN013", "SN003", "SN018", "SN029")):
        for frame in range(DISFA_FRAMES):
            picture(root / "img" / name / f"{frame}.png", 10 * frame + 5)
        for unit in (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26):
            lines = [f"{frame + 1},{intensity(person, unit, frame)}" for frame in range(DISFA_FRAMES)]
            path = root / "ActionUnit_Labels" / name / f"{name}_au{unit}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def bp4d_root(tmp_path: Path) -> Path:
    root = tmp_path / "BP4D"
    (root / "AUCoding" / "AU_OCC").mkdir(parents=True)
    for person in ("F001", "M011", "F007", "M007"):
        for task in ("T1", "T2"):
            for number in range(2438, 2447):
                picture(root / "img" / person / task / f"{number}.jpg", 10 * (number - 2438))
            heading = ["0", *map(str, range(1, 100))]
            rows = [[str(number)] + [str((number + unit) % 2) for unit in range(1, 100)] for number in CODED]
            rows[1][7] = "9"
            text = "\n".join(",".join(row) for row in [heading, *rows])
            (root / "AUCoding" / "AU_OCC" / f"{person}_{task}.csv").write_text(text + "\n")
    return root


def frames_of(root: Path, name: str, row: int = 0, fps: float = 20.0) -> tuple[np.ndarray, np.ndarray]:
    """Return the redness (T,) of every frame of a sample and its labels (T,N), read one frame at a time."""
    spec = ClipSpec(frames=1, fps=fps, size=16, audio_samples=0, annotations=("au",))
    sample = Database(installed().dataset(name), root).samples()[row]
    batch = collate([(request, load_clip(request, spec, frozenset({"video"}))) for request in sliding([sample], spec)])
    assert batch.annotations["au"].shape[1] == 1
    return batch.video[:, 0, 0, 8, 8].numpy(), batch.annotations["au"][:, 0].numpy()


def test_disfa_takes_row_i_of_the_labels_for_picture_i(disfa_root: Path) -> None:
    red, labels = frames_of(disfa_root, "disfa")
    assert red.tolist() == [10 * frame + 5 for frame in range(DISFA_FRAMES)]
    expected = [[intensity(0, int(unit[2:]), frame) for unit in DISFA_UNITS] for frame in range(DISFA_FRAMES)]
    np.testing.assert_array_equal(labels, expected)


def test_a_unit_without_a_file_is_unknown(disfa_root: Path) -> None:
    (disfa_root / "ActionUnit_Labels" / "SN001" / "SN001_au9.txt").unlink()
    values = disfa.read_units(disfa_root / "ActionUnit_Labels" / "SN001").values
    assert np.isnan(values[:, 4]).all() and not np.isnan(np.delete(values, 4, axis=1)).any()


def test_bp4d_shows_coded_frames_alone_and_nine_is_unknown(bp4d_root: Path) -> None:
    red, labels = frames_of(bp4d_root, "bp4d", fps=25.0)
    assert np.abs(red.astype(int) - [20, 30, 70]).max() <= 3, "of nine pictures the coded three, JPEG"
    expected = np.array([[(number + int(unit[2:])) % 2 for unit in BP4D_UNITS] for number in CODED], np.float32)
    expected[1, BP4D_UNITS.index("AU7")] = np.nan
    np.testing.assert_array_equal(labels, expected)


def test_disfa_plus_reads_headings_and_numbers(tmp_path: Path) -> None:
    root = tmp_path / "DISFA+"
    for person in ("SN001", "SN003"):
        for frame in range(3):
            picture(root / "Images" / person / "A1_AU1_TrailNo_1" / f"{frame:03d}.jpg", 60 * frame)
        folder = root / "Labels" / person / "A1_AU1_TrailNo_1"
        folder.mkdir(parents=True)
        for unit in (1, 2, 4, 5, 6, 9, 12, 25, 26):
            lines = [f"{frame:03d}.jpg {(frame * unit) % 6}" for frame in (2, 0, 1)]
            (folder / f"AU{unit}.txt").write_text("\n".join(["#AU coding", "Image Intensity", *lines]) + "\n")
    red, labels = frames_of(root, "disfa_plus")
    assert np.abs(red.astype(int) - [0, 60, 120]).max() <= 3
    np.testing.assert_array_equal(labels, [[frame * int(u[2:]) % 6 for u in DISFA_UNITS] for frame in range(3)])


@pytest.mark.parametrize(
    ("fold", "tested"), [(1, {"SN003", "SN029"}), (2, {"SN013", "SN018"}), (3, {"SN001", "SN002"})]
)
def test_disfa_folds_are_those_of_megraphau(disfa_root: Path, fold: int, tested: set[str]) -> None:
    people = disfa.train_identities(disfa_root, fold)
    assert len(people) == 18 and len({p for part in disfa.PARTS for p in part}) == 27
    parts = split(Database(installed().dataset("disfa"), disfa_root).samples(), train_identities=people)
    assert {s.identity for s in parts.test} == tested
    assert not {s.identity for s in parts.train} & ({s.identity for s in parts.validation} | tested)


@pytest.mark.parametrize(("fold", "tested", "count"), [(1, "F007", 28), (2, "M011", 27), (3, "F001", 27)])
def test_bp4d_folds_are_those_of_megraphau(bp4d_root: Path, fold: int, tested: str, count: int) -> None:
    people = bp4d.train_identities(bp4d_root, fold)
    assert len(people) == count and tested not in people and len({p for part in bp4d.PARTS for p in part}) == 41
    with pytest.raises(UserError, match="use 1 to 3"):
        bp4d.train_identities(bp4d_root, 4)


def test_pictures_are_read_as_a_video_of_them_would_be(disfa_root: Path) -> None:
    sample = Database(installed().dataset("disfa"), disfa_root).samples()[0]
    spec = ClipSpec(frames=4, fps=10, size=8, audio_samples=0)  # every second picture, the last one is padding
    clip = load_clip(ClipRequest(sample, sample.forgery, start=0.0), spec, frozenset({"video"}))
    assert clip.frames[:, 4, 4, 0].tolist() == [15, 35, 55, 0] and (clip.valid_frames, clip.has_audio) == (3, False)
    whole = ClipSpec(frames=50, fps=20, size=8, audio_samples=0, whole=True)
    assert load_clip(ClipRequest(sample, sample.forgery, start=0.0), whole, frozenset()).valid_frames == DISFA_FRAMES
    (sample.path / "3.png").write_bytes(b"broken")
    with pytest.raises(MediaError) as caught:
        load_clip(ClipRequest(sample, sample.forgery, start=0.15), FRAME, frozenset())
    assert caught.value.reason is Reason.UNREADABLE


@pytest.mark.parametrize("name", ["disfa", "disfa_plus", "bp4d"])
def test_they_are_no_deepfake_databases(name: str) -> None:
    spec = installed().dataset(name)
    assert not spec.forgery_labels and not [p for p in known(installed().datasets()) if name in p]
    with pytest.raises(UserError, match="no demo data stand in"):
        locate(spec, {}, installed().datasets())


def test_what_is_wrong_is_named(disfa_root: Path, bp4d_root: Path) -> None:
    assert [f.level for f in check_disfa(disfa_root)] == ["warning", "warning"], "people and frames of a part"
    (bp4d_root / "img" / "F001" / "T1" / "2441.jpg").unlink()
    errors = [f.what for f in check_bp4d(bp4d_root) if f.level == "error"]
    assert errors == ["1 pictures are missing, first 2441.jpg"]
    (disfa_root / "img" / "SN013").rename(disfa_root / "img" / "elsewhere")
    (finding,) = check_disfa(disfa_root)
    assert "SN013 has labels, but neither" in finding.what
    labels = disfa_root / "ActionUnit_Labels" / "SN001"
    (labels / "SN001_au2.txt").write_text("1;3\n")
    with pytest.raises(UserError, match=r"SN001_au2\.txt: a line is not"):
        disfa.read_units(labels)
