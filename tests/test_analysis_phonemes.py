"""Phonemes and action units from files: TextGrid, CTM, OpenFace; siblings, tracks and the figure of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from avbench.analysis.openface import read_unit
from avbench.analysis.phoneme_files import Spoken, beside, read_phonemes
from avbench.analysis.phonemes import Track, siblings, table_of, track, window
from avbench.analysis.phonemes_figure import draw_phonemes
from avbench.errors import UserError
from avbench.types import Forgery, Sample

LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 0.5
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 0.5
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = "say ""pull"" 2"
    item [2]:
        class = "IntervalTier"
        name = "speaker - phones"
        xmin = 0
        xmax = 0.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.1
            text = ""
        intervals [2]:
            xmin = 0.1
            xmax = 0.25
            text = "P"
        intervals [3]:
            xmin = 0.25
            xmax = 0.5
            text = "UH1"
"""
SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
0.5
<exists>
2
"TextTier"
"clicks"
0
0.5
1
0.2
"x"
"IntervalTier"
"phonemes"
0
0.5
3
0
0.1
"sil"
0.1
0.25
"p"
0.25
0.5
"uh"
"""
WANTED = [("", 0.0, 0.1), ("p", 0.1, 0.25), ("uh", 0.25, 0.5)]


def told(found: list[Spoken]) -> list[tuple[str, float, float]]:
    return [(s.name, s.start, pytest.approx(s.end)) for s in found]  # type: ignore[misc]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("text", [LONG, SHORT], ids=["long", "short"])
def test_textgrids_long_and_short(text: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_text(text, encoding)
    assert told(read_phonemes(path)) == WANTED


def test_ctm_lines_of_the_recording_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "all.ctm"
    path.write_text(";; made by an aligner\nother 1 0.0 9.0 m\n00001 1 0.25 0.25 uh\n00001 1 0.1 0.15 p\n", "utf-8")
    assert told(read_phonemes(path, "RealVideo/00001.mp4")) == WANTED[1:]
    with pytest.raises(UserError, match="2 recordings, none called RealVideo/00002"):
        read_phonemes(path, "RealVideo/00002.mp4")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.TextGrid", "hello", "not a TextGrid"),
        ("a.TextGrid", LONG.replace("phones", "tones"), "no tier called phones or phonemes; there are words"),
        ("a.TextGrid", "\n".join(SHORT.splitlines()[:-4]), "cut off"),
        ("a.ctm", "00001 1 0.1\n", "list index out of range"),
        ("a.ctm", "", "it is empty"),
        ("a.ctm", "00001 1 0.5 -0.2 p\n", "lasts from 0.5 to 0.3 s"),
        ("a.lab", "0 1 p\n", "phonemes are read from"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_in_one_line(name: str, text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    with pytest.raises(UserError, match=message) as told_of:
        read_phonemes(path)
    assert "\n" not in str(told_of.value) and name in str(told_of.value)


def test_files_in_a_folder_are_found_by_id_and_by_name(tmp_path: Path) -> None:
    (tmp_path / "Real").mkdir()
    for name in ("Real/1.ctm", "2.TextGrid"):
        (tmp_path / name).touch()
    assert beside(tmp_path, "Real/1.mp4") == tmp_path / "Real/1.ctm"
    assert beside(tmp_path, "Real/2.mp4") == tmp_path / "2.TextGrid"
    with pytest.raises(UserError, match=r"no \.csv of Real"):
        beside(tmp_path, "Real/1.mp4", (".csv",))
    with pytest.raises(UserError, match="no such file"):
        beside(tmp_path / "nothing", "Real/1.mp4")


def write_openface(path: Path, values: list[float]) -> Path:
    rows = [f"{k + 1}, 0, {k / 25:.3f}, 0.98, {int(k != 2)}, {v:.2f}" for k, v in enumerate(values)]
    path.write_text("frame, face_id, timestamp, confidence, success, AU25_r\n" + "\n".join(rows) + "\n", "utf-8")
    return path


def test_openface_is_read_on_its_own_clock(tmp_path: Path) -> None:
    path = write_openface(tmp_path / "a.csv", [0, 1, 2, 3, 4])
    found = read_unit(path, "AU25", 30).at((np.arange(6) + 0.5) / 25)[:, 0]
    assert np.array_equal(found, [0, 1, np.nan, 3, 4, np.nan], equal_nan=True)  # no face, and behind the end
    with pytest.raises(UserError, match=r"no column AU12_r; intensities there are: AU25_r"):
        read_unit(path, "AU12", 25)
    path.write_text("AU25_r\n1\n2\n", "utf-8")
    assert read_unit(path, "AU25", 10).at(np.array([0.15])) == 2


def sample(name: str, forgery: Forgery, identity: str = "p") -> Sample:
    return Sample(name, Path(name), forgery, "folder", identity=identity, fps=25)


def test_siblings_are_of_the_same_person_and_rather_of_the_same_sentence() -> None:
    everything = [
        sample("rr/1.mp4", Forgery.RARV),
        sample("rr/2.mp4", Forgery.RARV),
        sample("fr/1_x.mp4", Forgery.RAFV),
        sample("fr/2_x.mp4", Forgery.RAFV),
        sample("rf/2_fake.mp4", Forgery.FARV, "q"),
        sample("ff/1_y.mp4", Forgery.FAFV),
    ]
    assert [s.id for s in siblings(everything[1], everything)] == ["rr/2.mp4", "fr/2_x.mp4", "ff/1_y.mp4"]
    assert [s.id for s in siblings(everything[2], everything)] == ["rr/1.mp4", "fr/1_x.mp4", "ff/1_y.mp4"]


def test_a_track_knows_how_far_lips_close(tmp_path: Path) -> None:
    (tmp_path / "1.TextGrid").write_text(SHORT, "utf-8")
    lips = [2, 2, 2, 0.5, 0.25, 1, 3, 3, 3, 3, 3, 3]
    write_openface(tmp_path / "1.csv", lips)
    one = track(sample("rr/1.mp4", Forgery.RARV), tmp_path, tmp_path, 25)
    assert len(one.times) == 12 and one.times[0] == pytest.approx(0.02)
    assert one.openings(["p"]) == [0.25]  # /p/ holds frames 3 to 5; frame 2 without a face is none of them
    assert one.openings(["m"]) == []
    assert window([one], ["p"], None, 0.3) == (0.0, 0.3) and window([one], ["p"], 0.2, 0.1) == (0.2, pytest.approx(0.3))
    with pytest.raises(UserError, match="the videos end"):
        window([one], ["p"], 5, 1)
    table = table_of([one])
    assert list(table["phoneme"][:7]) == ["", "", "p", "p", "p", "p", "uh"] and table["class"].unique() == ["RARV"]
    with pytest.raises(UserError, match="give --units"):
        track(sample("rr/1.mp4", Forgery.RARV), tmp_path, None, 25)


def test_the_figure_is_drawn_for_each_class(tmp_path: Path) -> None:
    times = (np.arange(12) + 0.5) / 25
    spoken = [Spoken("p", 0.1, 0.25), Spoken("UH1", 0.25, 0.5)]
    tracks = [
        Track(sample(f"{f.name}.mp4", f), spoken, times, np.linspace(0, 4, 12, dtype=np.float32)) for f in Forgery
    ]
    pictures = [np.full((5, 8, 8, 3), 120, np.uint8)] * 4
    paths = draw_phonemes(tracks, pictures, (0, 0.5), ["p"], tmp_path / "lips", heading="Lips (demo data)", below="")
    assert [path.suffix for path in paths] == [".png", ".svg"] and all(path.stat().st_size > 5000 for path in paths)
