"""FakeAVCeleb: official and re-headed tables, every spelling of its folders, its duplicates, lists and errors."""

from __future__ import annotations

import csv
import logging
from collections import Counter
from pathlib import Path

import pytest

from avbench.data.splits import split
from avbench.errors import UserError
from avbench.types import Forgery
from avbench_fakeavceleb.check import check
from avbench_fakeavceleb.reader import scan, train_identities

NAMED = ["source", "target1", "target2", "method", "category", "type", "race", "gender"]
OFFICIAL = [*NAMED, "path", ""]
REAL = ["id00076", "-", "-", "real", "A", "RealVideo-RealAudio", "African", "men", "00109.mp4"]
REAL += ["FakeAVCeleb/RealVideo-RealAudio/African/men/id00076"]
FAKE = ["id00018", "id00076", "10", "faceswap-wav2lip", "D", "FakeVideo-FakeAudio", "Asian (East)", "women"]
FAKE += ["00021_id00076_wavtolip.mp4", "FakeAVCeleb/FakeVideo-FakeAudio/Asian (East)/women/id00018"]
FAKE_ID = "FakeVideo-FakeAudio/Asian (East)/women/id00018/00021_id00076_wavtolip.mp4"


def write(root: Path, *rows: list[str], header: list[str] = OFFICIAL, encoding: str = "utf-8") -> Path:
    root.mkdir(parents=True, exist_ok=True)
    with (root / "meta_data.csv").open("w", newline="", encoding=encoding) as stream:
        csv.writer(stream).writerows([header, *rows])
    return root


def changed(row: list[str], **cells: str) -> list[str]:
    places = [*NAMED, "file", "folder"]
    return [cells.get(name, cell) for name, cell in zip(places, row, strict=True)]


def test_an_official_row_becomes_a_sample(tmp_path: Path) -> None:
    real, fake = scan(write(tmp_path, REAL, FAKE))
    assert real.id == "RealVideo-RealAudio/African/men/id00076/00109.mp4"
    assert (real.forgery, real.other_identities, real.method) == (Forgery.RARV, (), "real")
    assert (fake.id, fake.path) == (FAKE_ID, tmp_path / FAKE_ID)
    assert (fake.forgery, fake.method, fake.stratum) == (Forgery.FAFV, "faceswap-wav2lip", "Asian (East)/women")
    assert (fake.identity, fake.other_identities) == ("id00018", ("id00076",))
    assert (fake.split, fake.fake_periods, fake.duration) == ("", (), None)


@pytest.mark.parametrize(
    ("header", "order"),
    [
        ([*NAMED, "path", "Unnamed: 9"], range(10)),  # saved by pandas
        ([*NAMED, "vid", "path"], range(10)),
        ([*NAMED, "filename", "path"], range(10)),
        ([*NAMED, "path", "filename"], [*range(8), 9, 8]),
        (["Source", " Target1", *NAMED[2:], "path", ""], range(10)),
        (["", *NAMED, "path", "Unnamed: 9"], [0, *range(10)]),  # with a column of row numbers
    ],
)
def test_reheaded_tables_give_the_same_samples(tmp_path: Path, header: list[str], order: list[int]) -> None:
    rows = [[row[place] for place in order] for row in (REAL, FAKE)]
    write(tmp_path, *rows, header=header, encoding="utf-8-sig")
    found = scan(tmp_path)
    assert found == scan(write(tmp_path, REAL, FAKE))


@pytest.mark.parametrize("wrapping", ["", "FakeAVCeleb", "videos", "FakeAVCeleb/videos"])
@pytest.mark.parametrize("spelling", ["Asian (East)", "Asian_East", "Asian-East", "asian__east_"])
def test_sanitised_and_wrapped_copies_keep_their_ids(tmp_path: Path, wrapping: str, spelling: str) -> None:
    path = tmp_path / wrapping / "FakeVideo-FakeAudio" / spelling / "women" / "id00018" / FAKE[8]
    path.parent.mkdir(parents=True)
    path.touch()
    for row in (FAKE, changed(FAKE, folder=f"FakeAVCeleb/FakeVideo-FakeAudio/{spelling}/women/id00018", race=spelling)):
        [sample] = scan(write(tmp_path, row))
        assert (sample.id, sample.path, sample.stratum) == (FAKE_ID, path, "Asian (East)/women")


def test_the_table_may_be_wrapped_too(tmp_path: Path) -> None:
    write(tmp_path / "FakeAVCeleb", REAL)
    assert len(scan(tmp_path)) == 1
    with pytest.raises(UserError, match=r"no meta_data\.csv"):
        scan(tmp_path / "elsewhere")


@pytest.mark.parametrize("prefix", ["", "FakeAVCeleb/", "./FakeAVCeleb_v1.2/", "/data/FakeAVCeleb/"])
def test_what_stands_before_the_type_folder_is_dropped(tmp_path: Path, prefix: str) -> None:
    folder = prefix + FAKE[9].removeprefix("FakeAVCeleb/")
    [sample] = scan(write(tmp_path, changed(FAKE, folder=folder)))
    assert (sample.id, sample.path) == (FAKE_ID, tmp_path / FAKE_ID)


def test_the_class_comes_from_type_then_category_never_from_names(tmp_path: Path) -> None:
    named_fake = changed(REAL, file="00109_fake_wavtolip.mp4")
    no_type = changed(FAKE, type="", category="C")
    types = ("RealVideo-RealAudio", "FakeVideo-RealAudio", "RealVideo-FakeAudio", "FakeVideo-FakeAudio")
    rows = [changed(REAL, type=name, category="", file=f"{n}.mp4") for n, name in enumerate(types)]
    samples = scan(write(tmp_path, named_fake, no_type, *rows))
    assert [s.forgery for s in samples] == [Forgery.RARV, Forgery.RAFV, *Forgery]


def test_targets_are_other_identities_only(tmp_path: Path) -> None:
    pairs = (("-", "-"), ("10", "id00076"), ("id00018", "id00020"), ("id00020", "id00020"), ("", "12"))
    rows = [changed(FAKE, target1=a, target2=b, file=f"{n}.mp4") for n, (a, b) in enumerate(pairs)]
    found = [s.other_identities for s in scan(write(tmp_path, *rows))]
    assert found == [(), ("id00076",), ("id00020",), ("id00020",), ()]


def test_of_several_rows_of_one_file_the_first_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    again = changed(FAKE, method="wav2lip")
    with caplog.at_level(logging.WARNING):
        samples = scan(write(tmp_path, FAKE, REAL, again, again))
    assert [s.method for s in samples] == ["faceswap-wav2lip", "real"]
    assert len(caplog.records) == 1 and "2 rows name the file of an earlier row" in caplog.text


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (REAL[:5], "column 'folder': 5 cells, expected 10"),
        (changed(REAL, type="Real", category="E"), "column 'type': 'Real' is none of"),
        (changed(REAL, source=""), "column 'source': '' is not an identity"),
        (changed(REAL, source="../id00076"), "column 'source'"),
        (changed(REAL, file=""), "column 'file': '' is not a file name"),
        (changed(REAL, file="../../x.mp4"), "column 'file'"),
        (changed(REAL, file=".."), "column 'file'"),
        (changed(REAL, folder=""), "column 'folder'"),
        (changed(REAL, folder="/etc"), "column 'folder'"),
        (changed(REAL, folder="RealVideo-RealAudio/../../../etc"), "column 'folder'"),
        (changed(REAL, folder="RealVideo-RealAudio\\..\\..\\etc"), "column 'folder'"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, row: list[str], message: str) -> None:
    with pytest.raises(UserError, match=rf"meta_data\.csv, row 4, {message}"):
        scan(write(tmp_path, FAKE, [], row))  # the header is row 1, the empty row 3 is skipped


def test_a_header_without_a_column_is_named(tmp_path: Path) -> None:
    header = [name.replace("method", "methods") for name in OFFICIAL]
    with pytest.raises(UserError, match=r"row 1: no column called 'method'; did you mean 'methods'"):
        scan(write(tmp_path, REAL, header=header))
    (tmp_path / "meta_data.csv").write_bytes(b"source,\xff\n")
    with pytest.raises(UserError, match="not a CSV file in UTF-8"):
        scan(tmp_path)


def test_official_training_lists_are_read_as_their_authors_do(tmp_path: Path) -> None:
    assert train_identities(tmp_path, 1) is None
    (tmp_path / "train_1.txt").write_text("id00099\nid00076/whatever.mp4\n\n00018\nid00018,men\n")
    assert train_identities(tmp_path, 1) == frozenset({"id00076", "id00018"})  # the first line is lost
    (tmp_path / "train_2.txt").write_text("id00099\n")
    with pytest.raises(UserError, match=r"train_2\.txt names no identity"):
        train_identities(tmp_path, 2)


def test_check_compares_with_files_and_official_counts(tmp_path: Path) -> None:
    again = changed(FAKE, method="wav2lip")
    odd = changed(FAKE, method="magic", category="A", source="id00020", file="odd.mp4")
    moved = changed(REAL, type="FakeVideo-RealAudio", category="C", method="fsgan")
    write(tmp_path, REAL, FAKE, again, odd, changed(moved, file="moved.mp4"))
    (tmp_path / "train_3.txt").write_text("ids\nid00076\n")
    folder = tmp_path / "RealVideo-RealAudio/African/men/id00076"
    folder.mkdir(parents=True)
    (folder / "00109.mp4").touch()
    (folder / "moved.mp4").write_bytes(b"video")
    (folder / "surplus.mp4").write_bytes(b"video")
    found = {(finding.level, finding.what) for finding in check(tmp_path)}
    base, odd_id = "RealVideo-RealAudio/African/men/id00076", "FakeVideo-FakeAudio/Asian (East)/women/id00018/odd.mp4"
    assert found == {
        ("error", f"2 files are missing: {FAKE_ID}, {odd_id}"),
        ("error", f"1 files are empty: {base}/00109.mp4"),
        ("warning", f"1 videos are not in the table (ignored): {base}/surplus.mp4"),
        ("warning", f"1 files stand in several rows (the first counts): {FAKE_ID}"),
        ("warning", f"1 files have several methods (the first counts): {FAKE_ID}"),
        ("warning", f"1 rows have an unknown method: {odd_id}"),
        ("warning", f"1 rows have a category that contradicts their type (the type counts): {odd_id}"),
        ("warning", f"1 rows lie in the folder of another type (the type counts): {base}/moved.mp4"),
        ("warning", f"1 rows lie in the folder of another identity: {odd_id}"),
        ("note", "RealVideo-RealAudio: 1 videos, official 500"),
        ("note", "RealVideo-FakeAudio: 0 videos, official 500"),
        ("note", "FakeVideo-RealAudio: 1 videos, official 9709"),
        ("note", "FakeVideo-FakeAudio: 2 videos, official 10835"),
        ("note", "3 identities, official 500"),
        ("note", "official training lists of folds: 3"),
    }


def test_the_miniature_of_real_faces(real_root: Path) -> None:
    root = real_root / "FakeAVCeleb_v1.2"
    samples = scan(root)
    assert Counter(s.forgery for s in samples) == {0: 16, 1: 35, 2: 14, 3: 32}
    assert len(samples) == 97 and all(s.path.is_file() for s in samples)
    assert Counter(s.identity for s in samples)["id00417"] == 64
    assert len({s.stratum for s in samples}) == len({s.identity for s in samples}) == 6
    assert Counter(bool(s.other_identities) for s in samples if s.method == "faceswap") == {True: 19}
    assert not any(s.other_identities for s in samples if s.method == "wav2lip")  # the mouth of the same speaker
    assert {finding.level for finding in check(root)} == {"note"}
    parts = split(samples)
    assert {s.identity for s in parts.test}.isdisjoint(s.identity for s in (*parts.train, *parts.validation))
    assert len(parts.train) + len(parts.validation) + len(parts.test) == 97
