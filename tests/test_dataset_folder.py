"""Own files: class folders and CSVs become samples; what is wrong in them is named by row. Plugins stay light."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from avbench.data.splits import split
from avbench.errors import UserError
from avbench.types import Forgery
from avbench_demo.reader import scan as scan_demo
from avbench_folder.check import check
from avbench_folder.reader import scan


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"media")
    return root


def table(root: Path, text: str, name: str = "labels.csv") -> Path:
    (root / name).write_text(text, "utf-8")
    return root


def test_class_folders_are_searched_to_the_bottom(tmp_path: Path) -> None:
    touch(tmp_path, "real/b.MP4", "real/deep/er/a.wav", "Fake/c.webm", "RAFV/d.mkv", "0/e.mov")
    touch(tmp_path, "real/notes.txt", "real/._b.mp4", "other/f.mp4", "g.mp4")
    found = {s.id: s.forgery for s in scan(tmp_path)}
    assert found == {
        "0/e.mov": Forgery.RARV,
        "Fake/c.webm": Forgery.FAFV,
        "RAFV/d.mkv": Forgery.RAFV,
        "real/b.MP4": Forgery.RARV,
        "real/deep/er/a.wav": Forgery.RARV,
    }
    assert list(found) == sorted(found)
    assert all(s.path == tmp_path / s.id and s.identity == s.id for s in scan(tmp_path))
    assert len(split(scan(tmp_path)).test) == 1  # every file is its own identity, so files can be folded


def test_a_table_needs_only_paths_and_labels(tmp_path: Path) -> None:
    labels = ("0", "1", "real", "Fake", "RARV", "rafv", "FARV", "FAFV")
    text = "path,label\n" + "".join(f"sub/{n}.mp4,{label}\n" for n, label in enumerate(labels))
    samples = scan(table(tmp_path, text))
    assert [int(s.forgery) for s in samples] == [0, 3, 0, 3, 0, 1, 2, 3]
    assert (samples[1].id, samples[1].path) == ("sub/1.mp4", tmp_path / "sub/1.mp4")
    assert (samples[1].identity, samples[1].split, samples[1].fake_periods) == ("sub/1.mp4", "", ())
    assert scan(table(tmp_path, text, "other.csv") / "other.csv") == samples  # the root may be the file itself


def test_optional_columns_are_read(tmp_path: Path) -> None:
    text = """Label, PATH,identity,target,split,method,fake_start,fake_end,video_fake,audio_fake,stratum,cluster,note

1,a.mp4,p1,p2; p3,dev,wav2lip,0.5 2.0,1.0 2.5,1,0,men,c1,hello
fake,./b.mp4,,,train,,,,no,yes,,,"""
    first, second = scan(table(tmp_path, text))
    assert (first.forgery, first.identity, first.other_identities) == (Forgery.RAFV, "p1", ("p2", "p3"))
    assert (first.split, first.method, first.stratum, first.cluster) == ("validation", "wav2lip", "men", "c1")
    assert first.fake_periods == ((0.5, 1.0), (2.0, 2.5))
    assert (second.id, second.forgery, second.split, second.cluster) == ("b.mp4", Forgery.FARV, "train", "b.mp4")


def test_an_unknown_column_is_ignored_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        scan(table(tmp_path, "path,label,identitty\na.mp4,0,p1\n"))
    assert "ignored columns: identitty" in caplog.text


def test_links_are_followed_and_what_is_left_out_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path / "store", "deep/a.mp4", "b.MTS")
    touch(root := tmp_path / "root", "Bona-Fide/x.mp4", "SPOOF/y.m2ts", "spoof/z.vob", "spoof/n.txt", "spoof/.h.mp4")
    touch(root, "others/o.mp4", "top.mp4")
    (root / "Bona-Fide" / "linked").symlink_to(tmp_path / "store")
    with caplog.at_level(logging.WARNING):
        found = {s.id: s.forgery for s in scan(root)}
    assert {name: int(forgery) for name, forgery in found.items()} == {
        "Bona-Fide/linked/b.MTS": 0,
        "Bona-Fide/linked/deep/a.mp4": 0,
        "Bona-Fide/x.mp4": 0,
        "SPOOF/y.m2ts": 3,
        "spoof/z.vob": 3,
    }
    for said in ("no labels: others", "1 files left out that lie beside", "endings: .txt 1", "1 hidden files"):
        assert said in caplog.text and any(said in f.what for f in check(root) if f.level == "warning")
    (root / "spoof" / "again").symlink_to(tmp_path / "store")
    with pytest.raises(UserError, match="are one folder, by a link"):
        scan(root)
    (root / "spoof" / "again").unlink()
    (root / "spoof" / "loop").symlink_to(root / "spoof")
    with pytest.raises(UserError, match="are one folder, by a link"):
        scan(root)


def test_columns_by_semicolons_or_twice_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="separated by ';'; save the table with commas"):
        scan(table(tmp_path, "path;label\na.mp4;0\n"))
    with pytest.raises(UserError, match="column 'label' stands there twice"):
        scan(table(tmp_path, "path,label,label\na.mp4,0,1\n"))


def test_blanks_and_backslashes_are_those_of_the_disk(tmp_path: Path) -> None:
    touch(tmp_path, " lead.mp4", "sub/a.mp4", "plain.mp4")
    samples = scan(table(tmp_path, "path,label\n lead.mp4,0\nsub\\a.mp4,1\n plain.mp4 ,1\n"))
    assert [s.id for s in samples] == [" lead.mp4", "sub/a.mp4", "plain.mp4"] and all(s.path.exists() for s in samples)


def test_people_whose_names_differ_in_spelling_alone_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        scan(table(tmp_path, "path,label,identity\na.mp4,0,Ann\nb.mp4,1,ann\nc.mp4,1,007\nd.mp4,1,7\n"))
    assert "identities 'Ann' and 'ann' count as different people, 2 such in all" in caplog.text


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("path,label", "a.mp4,maybe", "label 'maybe' is none of"),
        ("path,label", ",0", "path '' must lie below"),
        ("path,label", "../a.mp4,0", "must lie below"),
        ("path,label", "/etc/passwd,0", "must lie below"),
        ("path,label", "sub/../../a.mp4,0", "must lie below"),
        ("path,label", "a.mp4", "1 cells, expected 2"),
        ("path,label", "ok.mp4,0", "'ok.mp4' stands in row 2 already"),
        ("path,label,split", "a.mp4,0,tests", "split 'tests' is none of"),
        ("path,label,video_fake,audio_fake", "a.mp4,1,1,", "give both as 0 or 1"),
        ("path,label,video_fake,audio_fake", "a.mp4,1,0,0", r"contradicts video_fake and audio_fake \(RARV\)"),
        ("path,label,video_fake,audio_fake", "a.mp4,real,0,1", r"\(FARV\)"),
        ("path,label,video_fake,audio_fake", "a.mp4,RAFV,1,1", r"\(FAFV\)"),
        ("path,label,fake_start,fake_end", "a.mp4,1,0.5,", "equally many numbers"),
        ("path,label,fake_start,fake_end", "a.mp4,1,x,1", "equally many numbers"),
        ("path,label,fake_start,fake_end", "a.mp4,1,2,1", "0 <= start < end"),
        ("path,label,fake_start,fake_end", "a.mp4,0,0.5,1", "a real file has no fake_start"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, header: str, row: str, message: str) -> None:
    first = "ok.mp4,0" + "," * (header.count(",") - 1)
    with pytest.raises(UserError, match=rf"labels\.csv, row 3: .*{message}"):
        scan(table(tmp_path, f"{header}\n{first}\n{row}\n"))


def test_what_holds_nothing_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no sample in the folders .*real.*looked for .*\.mp4"):
        scan(tmp_path)
    with pytest.raises(UserError, match="neither a folder nor a CSV"):
        scan(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no column called 'path'; did you mean 'paths'"):
        scan(table(tmp_path, "paths,label\na.mp4,0\n"))
    with pytest.raises(UserError, match="no column called 'path'"):
        scan(table(tmp_path, ""))
    with pytest.raises(UserError, match="no sample in"):
        scan(table(tmp_path, "path,label\n"))


def test_check_tells_what_is_missing_and_what_is_vague(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    (tmp_path / "b.mp4").touch()
    text = "path,label,video_fake,audio_fake\na.mp4,fake,,\nb.mp4,1,1,0\nc.mp4,FAFV,,\n"
    found = [(finding.level, finding.what) for finding in check(table(tmp_path, text))]
    assert ("error", "1 files are missing: c.mp4") in found and ("error", "1 files are empty: b.mp4") in found
    assert ("note", "FAFV: 2 files") in found and ("note", "RAFV: 1 files") in found
    vague = [what for level, what in found if level == "warning" and "which stream is forged" in what]
    assert len(vague) == 1 and vague[0].startswith("1 fakes")
    assert any("only real or only fake" in what for _, what in found)
    touch(tmp_path / "own", "real/a.mp4", "fake/b.mp4", "FARV/c.mp4")
    assert [f.what[:7] for f in check(tmp_path / "own") if f.level == "warning"] == ["1 fakes"]
    assert next(iter(check(tmp_path / "nowhere"))).level == "error"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a.mp4,0,p1,train\nb.mp4,1,p2,\n", "'b.mp4' has no split"),
        ("a.mp4,0,p1,train\nb.mp4,1,p1,test\n", "1 identities are in training and in test"),
        ("a.mp4,0,p1,train\nb.mp4,1,p2,test\n", "no validation samples"),
    ],
)
def test_check_tells_what_would_stop_a_run(tmp_path: Path, rows: str, message: str) -> None:
    root = touch(table(tmp_path, "path,label,identity,split\n" + rows), "a.mp4", "b.mp4")
    assert [message in finding.what for finding in check(root) if finding.level == "warning"][-1]


def test_the_demo_reads_both_databases_with_one_split(real_root: Path) -> None:
    samples = scan_demo(real_root)  # the miniatures have the folders that the demo data have
    assert len(samples) == 138 + 97 and all(s.path == real_root / s.id for s in samples)
    parts = split(samples)
    assert sum(s.id.startswith("FakeAVCeleb") for s in parts.test) > 0
    assert len({s.identity for s in parts.validation if s.id.startswith("FakeAVCeleb")}) == 1
    assert sum(s.id.startswith("LAV-DF") for s in parts.test) == 22


def test_plugins_are_light() -> None:
    names = [f"avbench_{name}.plugin" for name in ("lavdf", "fakeavceleb", "folder", "demo", "au")]
    code = (
        f"import sys, importlib; sys.path[:0] = {sys.path!r}; import avbench.hookspecs; before = set(sys.modules)\n"
        f"specs = [s for n in {names!r} for s in importlib.import_module(n).avbench_datasets()]\n"
        "heavy = {'torch', 'numpy', 'pandas', 'av', 'cv2', 'json', 'csv'} & (set(sys.modules) - before)\n"
        "print([s.name for s in specs], sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (
        done.stdout.strip()
        == "['lavdf', 'fakeav', 'folder', 'demo', 'demo_faces', 'demo_speakers', 'disfa', 'disfa_plus', 'bp4d'] []"
    )
