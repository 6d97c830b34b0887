"""The audit: each pitfall that is planted in a small database is found, and none is cried where there is none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
import pytest

from avbench.auditing import subject
from avbench.auditing.report import Audit, audit
from avbench.cli import main
from avbench.plugins.registry import installed

PEOPLE, RATE, FPS = 12, 16_000, 25
CLASSES = ("RARV", "RAFV", "FARV", "FAFV")


@dataclass(frozen=True)
class Video:
    """What one file is written from: seeds of its pictures and its sound, and how it is made."""

    person: int
    label: str
    pictures: int
    sound: int
    frames: int = 30
    side: int = 64
    crf: int = 23
    loud: float = 0.1
    silence: float = 0.0
    colour: float = 0.0
    identity: str = ""
    target: str = ""
    split: str = ""

    @property
    def name(self) -> str:
        return f"person{self.person:02d}_{self.label}.mp4"


def clean() -> list[Video]:
    """Return videos whose forged streams are noise like any other, and whose untouched streams are the original's."""
    videos = []
    for person in range(PEOPLE):
        for label in CLASSES:
            own = Video(person, label, 4 * person, 4 * person + 1, identity=f"p{person}")
            own = replace(own, pictures=own.pictures + 2 * (label in {"RAFV", "FAFV"}))
            own = replace(own, sound=own.sound + 2 * (label in {"FARV", "FAFV"}))
            videos.append(replace(own, split="train" if person < 6 else "test", frames=28 + person % 3))
    return videos


def fakes(**changes: object) -> Callable[[list[Video]], list[Video]]:
    """Return what makes every fake differ from real videos."""
    return lambda videos: [v if v.label == "RARV" else replace(v, **changes) for v in videos]  # type: ignore[arg-type]


def forged_sounds(**changes: object) -> Callable[[list[Video]], list[Video]]:
    return lambda videos: [replace(v, **changes) if v.label[0:2] == "FA" else v for v in videos]  # type: ignore[arg-type]


def encoded_again(videos: list[Video]) -> list[Video]:
    """Give the untouched sound of RAFV another colour."""
    return [replace(v, colour=0.9) if v.label == "RAFV" else v for v in videos]


def one_person_in_two_parts(videos: list[Video]) -> list[Video]:
    return [replace(v, split="train") if v.person == 11 and v.label == "RARV" else v for v in videos]


def targets_of_training(videos: list[Video]) -> list[Video]:
    return [replace(v, target="p0") if v.split == "test" and v.label != "RARV" else v for v in videos]


def hardly_any_real(videos: list[Video]) -> list[Video]:
    return [v for v in videos if v.label != "RARV" or v.person in {0, 6, 7}]


PLANTED: dict[str, tuple[Callable[[list[Video]], list[Video]], set[str]]] = {
    "leading silence": (fakes(silence=0.4), {"fail"}),
    "length": (fakes(frames=24), {"fail"}),
    "file size and bitrate": (fakes(crf=42), {"fail"}),
    "encoding and resolution": (fakes(side=48), {"fail"}),
    "loudness": (forged_sounds(loud=0.5), {"fail", "warning"}),
    "untouched sound": (encoded_again, {"fail"}),
    "people in two parts": (one_person_in_two_parts, {"fail"}),
    "people named as targets": (targets_of_training, {"warning"}),
    "class balance": (hardly_any_real, {"fail"}),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Video], Path]:
    """Return a function that writes a video once, however many databases hold it."""
    folder = tmp_path_factory.mktemp("files")
    written: dict[tuple[object, ...], Path] = {}

    def write(video: Video) -> Path:
        made = replace(video, person=0, label="", identity="", target="", split="")
        key = (made,)
        if key not in written:
            written[key] = folder / f"{len(written)}.mp4"
            encode(written[key], video)
        return written[key]

    return write


def encode(path: Path, video: Video) -> None:
    """Write moving noise and hiss, H.264 and AAC."""
    look, hiss = np.random.default_rng(video.pictures), np.random.default_rng(video.sound)
    count = video.frames * RATE // FPS
    sound = hiss.standard_normal(count)
    for k in range(1, count if video.colour else 0):
        sound[k] += video.colour * sound[k - 1]
    sound *= video.loud / sound.std()
    sound[: int(video.silence * RATE)] = 0
    with av.open(str(path), "w") as file:
        pictures = file.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "crf": str(video.crf)})
        pictures.width = pictures.height = video.side
        pictures.pix_fmt = "yuv420p"
        heard = file.add_stream("aac", rate=RATE, layout="mono")
        for _ in range(video.frames):
            frame = (
                look.integers(60, 160, (video.side // 4, video.side // 4, 3)).astype(np.uint8).repeat(4, 0).repeat(4, 1)
            )
            file.mux(pictures.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(pictures.encode())
        for start in range(0, count, 1024):
            block = av.AudioFrame.from_ndarray(sound[start : start + 1024].astype(np.float32)[None], "flt", "mono")
            block.sample_rate, block.pts = RATE, start
            file.mux(heard.encode(block))
        file.mux(heard.encode())


@pytest.fixture
def audited(files: Callable[[Video], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Audit]:
    """Return a function that writes a database and audits it as a whole."""
    monkeypatch.setenv("AVBENCH_CACHE", str(tmp_path / "cache"))

    def run(videos: list[Video], change: Callable[[Path], None] = lambda root: None) -> Audit:
        root = tmp_path / "database"
        root.mkdir()
        rows = ["path,label,identity,split,target"]
        for video in videos:
            shutil.copy(files(video), root / video.name)
            rows.append(f"{video.name},{video.label},{video.identity},{video.split},{video.target}")
        (root / "labels.csv").write_text("\n".join(rows) + "\n", "utf-8")
        change(root)
        plugins = installed()
        protocol, whole = subject.find("folder", plugins)
        read = subject.read("folder", protocol, plugins, {"folder": root}, whole=whole, workers=0)
        return audit(read, resamples=200)

    return run


def levels(found: Audit) -> dict[str, str]:
    return {verdict.name: verdict.level for verdict in found.verdicts}


def test_nothing_is_cried_where_there_is_nothing(audited: Callable[..., Audit]) -> None:
    found = levels(audited(clean()))
    told = {name: level for name, level in found.items() if level in {"fail", "warning"}}
    assert told == {"class balance": "warning"}, "three of four videos are fake: Acc needs its baseline"
    assert found["untouched sound"] == found["untouched pictures"] == found["duplicates"] == "ok"


@pytest.mark.parametrize("pitfall", PLANTED)
def test_what_is_planted_is_found(audited: Callable[..., Audit], pitfall: str) -> None:
    plant, expected = PLANTED[pitfall]
    found = audited(plant(clean()))
    assert levels(found)[pitfall] in expected, next(v.evidence for v in found.verdicts if v.name == pitfall)
    (verdict,) = (verdict for verdict in found.verdicts if verdict.name == pitfall)
    assert verdict.advice and verdict.evidence


def test_copies_and_contrary_labels_and_broken_files_are_found(audited: Callable[..., Audit]) -> None:
    def spoil(root: Path) -> None:
        shutil.copy(root / "person00_RARV.mp4", root / "person11_RARV.mp4")  # train and test
        shutil.copy(root / "person01_RARV.mp4", root / "person01_FAFV.mp4")  # real and fake
        for person in (2, 3, 4):
            (root / f"person{person:02d}_RAFV.mp4").write_bytes(b"no video at all")

    found = audited(clean(), spoil)
    assert levels(found)["duplicates"] == "fail" and levels(found)["content in two parts"] == "fail"
    assert levels(found)["coverage"] == "fail" and found.facts["coverage"]["reasons"] == {"unreadable": 3}


def test_the_command_writes_everything_and_says_no_by_its_exit_code(
    files: Callable[[Video], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["path,label,identity,split"]
    for video in fakes(silence=0.4)(clean()):
        shutil.copy(files(video), tmp_path / video.name)
        rows.append(f"{video.name},{video.label},{video.identity},{video.split}")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n", "utf-8")
    out = tmp_path / "out"
    words = ["--data", f"folder={tmp_path}", "--out", str(out), "--workers", "0", "--resamples", "100"]
    assert main(["audit", "folder", *words, "--json", str(tmp_path / "audit.json")]) == 1
    assert "--trim-silence" in capsys.readouterr().out
    folder = out / "audits" / "folder"
    whole = json.loads((folder / "audit.json").read_text("utf-8"))
    assert whole == json.loads((tmp_path / "audit.json").read_text("utf-8"))
    page = (folder / "audit.html").read_text("utf-8")
    assert "data:image/svg+xml" in page and "leading silence" in page and (folder / "audit.md").is_file()
    main(["audit", "folder", *words, "--trim-silence", "--json", str(tmp_path / "trimmed.json")])
    trimmed = json.loads((tmp_path / "trimmed.json").read_text("utf-8"))
    told, left = ({v["name"]: v["level"] for v in found["verdicts"]} for found in (whole, trimmed))
    assert told["leading silence"] == told["silence elsewhere"] == "fail"
    assert left["leading silence"] == left["silence elsewhere"] == "ok", "what is dropped tells nothing any more"
    assert main(["audit", "nowhere", *words]) == 2 and "no dataset or protocol" in capsys.readouterr().err
