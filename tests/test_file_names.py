"""Files whose names look like protocols, or are spelt another way on disk, are those very files or one clear line."""

from __future__ import annotations

import shutil
from pathlib import Path
from unicodedata import normalize

import av
import numpy as np
import pytest

from avbench.data.databases import Database, read_roots
from avbench.data.file_names import links_out
from avbench.errors import UserError
from avbench.media.reading import address, open_file, probe
from avbench.types import DatasetSpec, Forgery, MediaError, Reason, Sample
from avbench_folder.check import check

ODD = [
    "12:30 interview.mp4",
    "concat:a|b.mp4",
    "file:x.mp4",
    "data:,a.mp4",
    " lead.mp4",
    "-dash.mp4",
    "%03d.mp4",
    "ü.mp4",
]


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("media") / "a.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 32
        for number in range(5):
            picture = np.full((32, 32, 3), 40 * number, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ODD)
def test_a_name_is_a_file_and_no_protocol(
    media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(media, tmp_path / name)
    assert probe(Path(name)) == probe(media)
    (tmp_path / "labels.csv").write_text(f'path,label\n"{name}",fake\n', "utf-8")
    (sample,) = folder(tmp_path).samples()
    assert sample.id == name and probe(sample.path) == probe(media)


def test_what_names_other_files_is_not_followed(media: Path, tmp_path: Path) -> None:
    shutil.copy(media, tmp_path / "other.mp4")
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile 'other.mp4'\n")
    with pytest.raises(MediaError, match="a list of other files") as caught:
        open_file(tmp_path / "list.mp4")
    assert caught.value.reason == Reason.UNREADABLE
    shutil.copy(media, tmp_path / "nul")
    with pytest.raises(MediaError, match="NUL"):  # FFmpeg would open `nul`
        open_file(tmp_path / "nul\0.mp4")
    assert address(Path("a.mp4")).startswith("file:/")


@pytest.mark.parametrize("disk", ["NFC", "NFD"])
def test_accents_are_found_in_either_spelling(tmp_path: Path, disk: str) -> None:
    name = "Café/Müller.mp4"
    place = tmp_path / normalize(disk, name)
    place.parent.mkdir()
    place.write_bytes(b"media")
    for spelling in ("NFC", "NFD"):
        text = f"path,label,identity\n{normalize(spelling, name)},fake,{normalize(spelling, 'Müller')}\n"
        (tmp_path / "labels.csv").write_text(text, "utf-8")
        (sample,) = folder(tmp_path).samples()
        assert sample.path.read_bytes() == b"media" and sample.identity == normalize("NFC", "Müller")
        assert not [one for one in check(tmp_path) if "missing" in one.what or "left out" in one.what]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a\0.mp4", "control character"),
        ("a\nb.mp4", "control character"),
        ("\udcfc.mp4", "not UTF-8"),
        ("x" * 256, "too long"),
        ("é" * 128, "too long"),
        ("../a.mp4", "lies outside"),
        ("/etc/passwd", "lies outside"),
    ],
)
def test_an_impossible_name_is_one_line(tmp_path: Path, name: str, message: str) -> None:
    base = database(tmp_path, Sample("a" if message == "lies outside" else name, tmp_path / name, Forgery.RARV))
    with pytest.raises(UserError, match=message) as caught:
        base.samples()
    assert "\n" not in str(caught.value) and str(caught.value).isprintable()


def test_links_that_leave_the_root_are_told(tmp_path: Path) -> None:
    root, store = tmp_path / "root", tmp_path / "store"
    for folder_ in (root, store):
        folder_.mkdir()
        (folder_ / "a.mp4").write_bytes(b"media")
    (root / "out.mp4").symlink_to(store / "a.mp4")
    (root / "in.mp4").symlink_to(root / "a.mp4")
    (root / "linked").symlink_to(store)
    names = ("a.mp4", "out.mp4", "in.mp4", "linked/a.mp4")
    samples = [Sample(name, root / name, Forgery.RARV) for name in names]
    assert links_out(samples, root) == ["out.mp4", "linked/a.mp4"]
    (tmp_path / "link").symlink_to(root)
    resolved = Sample("a.mp4", (tmp_path / "link").resolve() / "a.mp4", Forgery.RARV)
    assert database(tmp_path / "link", resolved).samples()[0].path == root.resolve() / "a.mp4"


def test_a_root_that_cannot_be_is_one_line() -> None:
    for given in ("x" * 5000, "~nobody-of-this-name/x", "folder=~nobody-of-this-name"):
        with pytest.raises(UserError, match="--data"):
            read_roots([given])


def folder(root: Path) -> Database:
    return Database(DatasetSpec("folder", "Own files", scan="avbench_folder.reader:scan"), root)


SAMPLES: list[Sample] = []


def given(root: Path) -> list[Sample]:
    return SAMPLES


def database(root: Path, *samples: Sample) -> Database:
    SAMPLES[:] = samples
    return Database(DatasetSpec("given", "Given", scan=f"{__name__}:given"), root)
