"""Metadata, protocols and settings that hold anything: a valid result or one line, never another exception."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from avbench.config import resolve
from avbench.data.databases import Database
from avbench.data.inputs import by_stat, inputs_of
from avbench.errors import UserError
from avbench.hashing import digest_of
from avbench.plugins.registry import installed
from avbench.protocol import complaint, read
from avbench.types import Forgery, Protocol
from avbench_fakeavceleb.reader import train_identities
from faults.counting import Tally, times

MESSAGE = 2_000  # letters of one line
EACH = times(15, 4_000)
anything = settings(max_examples=EACH, suppress_health_check=list(HealthCheck))

ODD_TEXTS = st.sampled_from(
    ["", ".", "..", "../x.mp4", "/etc/passwd", "a\0b", "\ud800", "x" * 300, "é.mp4", "e\u0301.mp4", "a:b", "-x", " x",
     "id00001", "RealVideo-RealAudio", "Asian (East)", "1e999", "nan", "٣", "9" * 400,
     "=1+1", "a\nb", "file:x", "A", "\ufeff"]
)  # fmt: skip
texts = ODD_TEXTS | st.text(max_size=12)
numbers = st.integers(-3, 100_000) | st.sampled_from([2**31, 2**63, 2**70, 10**400, -(2**63)]) | st.floats()
leaves = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)


class Outcomes:
    """Counts inputs that were read and that were refused, each in one line."""

    def __init__(self) -> None:
        self.read = self.refused = 0

    def __call__(self, attempt: Callable[[], object]) -> object | None:
        try:
            found = attempt()
        except UserError as error:
            assert str(error).strip() and len(str(error)) < MESSAGE and "\n" not in str(error), str(error)[:MESSAGE]
            self.refused += 1
            return None
        self.read += 1
        return found

    @property
    def tried(self) -> int:
        return self.read + self.refused

    def __str__(self) -> str:
        return f"{self.read:,} read, {self.refused:,} refused in one line"


def scanned(dataset: str, root: Path, outcome: Outcomes) -> None:
    """Read a database as a run does and hold its samples to what they promise."""
    database = Database(installed().dataset(dataset), root)
    for sample in outcome(database.samples) or ():
        assert sample.id and sample.identity and sample.cluster and isinstance(sample.forgery, Forgery)
        assert os.path.abspath(sample.path).startswith(os.path.abspath(root) + os.sep) or sample.path == root
        assert all(0 <= start <= end < 1e6 for start, end in sample.fake_periods)
        assert inputs_of([sample], by_stat).digest


def damaged(good: bytes) -> st.SearchStrategy[bytes]:
    """Return strategies for a file with some bytes replaced, cut off or put in."""
    place = st.integers(0, len(good))
    put_in = st.binary(max_size=4) | st.sampled_from(
        [b'"', b"\0", b"\xff", b"[" * 1_200, b"9" * 5_000, b",", b"\n", b"\r", b"{"]
    )
    return st.tuples(place, place, put_in).map(
        lambda it: good[: min(it[:2])] + it[2] + good[max(it[:2]) :]
    ) | st.tuples(place, st.integers(0, 255)).map(lambda it: good[: it[0]] + bytes([it[1]]) + good[it[0] + 1 :])


@pytest.fixture
def outcome(request: pytest.FixtureRequest, tally: Tally) -> Iterator[Outcomes]:
    counted = Outcomes()
    yield counted
    tally(
        f"Fuzzed: {request.node.callspec.params['what'] if hasattr(request.node, 'callspec') else ''}",
        counted.tried,
        str(counted),
    )


LAVDF: dict[str, Any] = {
    "file": "test/a.mp4",
    "n_fakes": 1,
    "fake_periods": [[0.5, 1.0]],
    "original": "test/b.mp4",
    "modify_video": True,
    "modify_audio": False,
    "split": "test",
    "video_frames": 100,
    "duration": 4.0,
}
REAL = {**LAVDF, "file": "test/b.mp4", "n_fakes": 0, "fake_periods": [], "original": None, "modify_video": False}
FAKEAV = """source,target1,target2,method,category,type,race,gender,path,
id00001,id00002,-,wav2lip,D,FakeVideo-FakeAudio,African,men,a.mp4,FakeAVCeleb/FakeVideo-FakeAudio/African/men/id00001
id00002,-,-,real,A,RealVideo-RealAudio,African,women,b.mp4,FakeAVCeleb/RealVideo-RealAudio/African/women/id00002
"""
FOLDER = "path,label,identity,target,split,fake_start,fake_end\na.mp4,fake,p1,p2,test,0.5,1\nb.mp4,real,p2,,test,,\n"


@pytest.mark.parametrize("what", ["values of LAV-DF's JSON"])
def test_values_of_lavdf(what: str, tmp_path: Path, outcome: Outcomes) -> None:
    @anything
    @given(
        changes=st.dictionaries(st.sampled_from([*LAVDF, "more"]), values, max_size=3),
        others=st.lists(values, max_size=2),
    )
    def scan(changes: dict[str, Any], others: list[Any]) -> None:
        rows = [{**LAVDF, **changes}, REAL, *others]
        (tmp_path / "metadata.json").write_bytes(json.dumps(rows).encode("utf-8", "surrogatepass"))
        scanned("lavdf", tmp_path, outcome)

    scan()


@pytest.mark.parametrize("what", ["bytes of LAV-DF's JSON", "bytes of FakeAVCeleb's CSV", "bytes of a table of labels"])
def test_bytes_of_metadata(what: str, tmp_path: Path, outcome: Outcomes) -> None:
    dataset, name, good = {
        "bytes of LAV-DF's JSON": ("lavdf", "metadata.json", json.dumps([LAVDF, REAL]).encode()),
        "bytes of FakeAVCeleb's CSV": ("fakeav", "meta_data.csv", FAKEAV.encode()),
        "bytes of a table of labels": ("folder", "labels.csv", FOLDER.encode()),
    }[what]

    @anything
    @example(raw=b'"' + good)
    @given(raw=damaged(good))
    def scan(raw: bytes) -> None:
        (tmp_path / name).write_bytes(raw)
        scanned(dataset, tmp_path, outcome)

    scan()


@pytest.mark.parametrize("what", ["cells of FakeAVCeleb's CSV", "cells of a table of labels"])
def test_cells_of_tables(what: str, tmp_path: Path, outcome: Outcomes) -> None:
    dataset, name, good = {
        "cells of FakeAVCeleb's CSV": ("fakeav", "meta_data.csv", FAKEAV),
        "cells of a table of labels": ("folder", "labels.csv", FOLDER),
    }[what]
    rows = [line.split(",") for line in good.splitlines()]
    place = st.tuples(st.integers(0, len(rows) - 1), st.integers(0, len(rows[0]) - 1))

    @anything
    @given(changes=st.dictionaries(place, texts, min_size=1, max_size=4))
    def scan(changes: dict[tuple[int, int], str]) -> None:
        cells = [[changes.get((y, x), cell) for x, cell in enumerate(row)] for y, row in enumerate(rows)]
        text = "\n".join(",".join(row) for row in cells)
        (tmp_path / name).write_bytes(text.encode("utf-8", "surrogatepass"))
        scanned(dataset, tmp_path, outcome)

    scan()


@pytest.mark.parametrize("what", ["FakeAVCeleb's official lists"])
def test_official_lists(what: str, tmp_path: Path, outcome: Outcomes) -> None:
    @anything
    @given(raw=damaged(b"identities\nid00001\nid00002 x\n"))
    def scan(raw: bytes) -> None:
        (tmp_path / "train_1.txt").write_bytes(raw)
        outcome(lambda: train_identities(tmp_path, 1))

    scan()


@pytest.mark.parametrize("what", ["names of class folders"])
def test_names_of_class_folders(what: str, tmp_path: Path, outcome: Outcomes) -> None:
    possible = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=20)
    names = (
        st.sampled_from(["real", "fake", "Real", "bonafide", "TRUE", "0", "1.0", "FAFV", ".hidden", "real "]) | possible
    )
    roots = iter(range(10**9))

    @anything
    @given(folders=st.lists(names.filter(lambda name: name not in (".", "..")), max_size=3), file=possible)
    def scan(folders: list[str], file: str) -> None:
        root = tmp_path / str(next(roots))
        root.mkdir()
        for folder in folders:
            (root / folder).mkdir(exist_ok=True)
            (root / folder / f"x{file[:9]}.mp4").write_bytes(b"")
        scanned("folder", root, outcome)

    scan()


@pytest.mark.parametrize("what", ["protocols in YAML"])
def test_protocols(what: str, tmp_path: Path, outcome: Outcomes) -> None:
    path = tmp_path / "p.yaml"
    right = {"name": "p", "version": 1, "train": "lavdf", "test": "fakeav"}
    good = b"name: p\nversion: 1\ntrain: lavdf\ntest: lavdf\nplacements: [oracle]\nfold: 2\nselect_on: validation\n"

    def follow(raw: bytes) -> None:
        path.write_bytes(raw)
        found = outcome(lambda: read(path))
        assert found is None or (isinstance(found, Protocol) and not complaint(found) and found.digest())

    @anything
    @given(changes=st.dictionaries(st.sampled_from([*Protocol.__dataclass_fields__, "x"]), values, max_size=3))
    def fields(changes: dict[str, Any]) -> None:
        try:
            raw = yaml.safe_dump(right | changes).encode("utf-8", "surrogatepass")
        except ValueError:  # YAML cannot hold it
            return
        follow(raw)

    @anything
    @given(raw=damaged(good))
    def raw_bytes(raw: bytes) -> None:
        follow(raw)

    fields()
    raw_bytes()


@pytest.mark.parametrize("what", ["`--set` of every detector"])
def test_settings(what: str, outcome: Outcomes) -> None:
    specs = [spec for _, spec in sorted(installed().detectors().items()) if not spec.members]
    keys = ["epochs", "batch", "lr", "micro_batch", "precision", "clip.size", "clip.frames", "clip.fps", "clip.region"]
    keys += ["threads", "eval_batch", "pooling", "width", "stage1.epochs", "clip", "", "x"]
    written = (
        texts | numbers.map(str) | st.sampled_from(["none", "true", "nan", "-inf", "1_0", "²", "0x1", "1e3", " 3 "])
    )

    @anything
    @given(
        spec=st.sampled_from(specs),
        key=st.sampled_from(keys),
        value=written,
        form=st.sampled_from(["{}={}", "{}{}", "={}"]),
    )
    def set_to(spec: Any, key: str, value: str, form: str) -> None:
        text = form.format(key, value)
        found = outcome(lambda: resolve(spec, spec.tasks[0], overrides=[text]))
        assert found is None or digest_of(found.as_dict())  # type: ignore[attr-defined]

    set_to()
