"""Whatever a user types: a protocol's file and a `--set` end in a value or in one line, never in a traceback."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from avbench.config import Config, resolve
from avbench.errors import UserError
from avbench.plugins.registry import installed
from avbench.protocol import complaint, read, varied
from avbench.types import ClipSpec, Protocol, Stage

NAMES = [field.name for field in fields(Protocol)]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-9, 2**70)
    | st.floats()
    | st.dates()
    | st.text(max_size=8)
    | st.sampled_from(["oracle", "labelled", "sliding", "test", "all", "lavdf", "fakeav", "paper", "validation"])
)
KEYS = st.sampled_from([*NAMES, "", "Name", "~", "name "])
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(KEYS, SCALARS, max_size=2)
SETTABLE = sorted(
    {field.name for field in fields(Stage)}
    | {f"clip.{field.name}" for field in fields(ClipSpec)}
    | {"eval_batch", "width", "csn_width", "fau_encoder", "mel", "use_video", "clip", "stage1.epochs", ""}
)
TEXTS = st.text(max_size=12) | st.sampled_from(
    [
        "0",
        "1",
        "-1",
        "1e999",
        "nan",
        "inf",
        "1_0",
        "٣",
        "none",
        "true",
        "16-mixed",
        "9" * 5000,
        "1e400",
        " 3 ",
        "=",
        "a=b",
    ]
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("protocols") / "any.yaml"


def read_or_refused(path: Path) -> Protocol | None:
    """Read a protocol; a refusal must be one line that names the file."""
    try:
        protocol = read(path)
    except UserError as error:
        assert "\n" not in str(error) and str(path) in str(error)
        return None
    assert isinstance(protocol, Protocol) and not complaint(protocol)
    return protocol


@settings(max_examples=60)
@given(values=st.dictionaries(KEYS, VALUES, max_size=6))
def test_fields_of_a_protocol_may_hold_anything(values: dict[str, object], file: Path) -> None:
    file.write_text(yaml.safe_dump(values, allow_unicode=True), "utf-8")
    read_or_refused(file)


@settings(max_examples=120)
@given(field=st.sampled_from(NAMES), value=VALUES)
def test_one_field_of_a_right_protocol_may_hold_anything(field: str, value: object, file: Path) -> None:
    right = {"name": "mine", "version": 1, "train": "lavdf", "test": "lavdf"}
    file.write_text(yaml.safe_dump(right | {field: value}, allow_unicode=True), "utf-8")
    protocol = read_or_refused(file)
    if protocol is not None and field not in ("placements",):
        found = getattr(protocol, field)
        assert found == (tuple(value) if isinstance(value, list) else value)


@settings(max_examples=150)
@example(raw=b"version: 2001-99-99")
@example(raw=b"version: !!int x")
@example(raw=b"name: !!binary a")
@example(raw=b"? [a]\n: 1")
@example(raw=b"&a [*a]")
@example(raw=b"placements: &a [*a]")
@example(raw=b"[" * 1000)
@example(raw=b"a: !!python/object/apply:os.getcwd []")
@example(raw=b"<<: 1")
@example(raw=b"version: 0o9")
@example(raw=b"version: 1:99:99")
@example(raw=b"version: ._")
@example(raw=b"version: " + b"9" * 5000)
@given(raw=st.binary(max_size=40) | st.text("{}[]:,-&*!|>'\"%@`#? \n\tab01.~<", max_size=40).map(str.encode))
def test_a_file_may_hold_anything(raw: bytes, file: Path) -> None:
    file.write_bytes(raw)
    read_or_refused(file)


@settings(max_examples=100)
@given(changes=st.dictionaries(st.sampled_from([*NAMES, "fold"]), VALUES, max_size=3))
def test_a_variant_is_a_protocol_or_refused(changes: dict[str, object]) -> None:
    protocol = installed().protocol("within_lavdf")
    try:
        found = varied(protocol, changes)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert not complaint(found)


@settings(max_examples=200)
@given(
    key=st.sampled_from(SETTABLE) | st.text(max_size=8), text=TEXTS, detector=st.sampled_from(["fauforensics", "avts"])
)
def test_a_setting_is_a_value_or_refused_in_one_line(key: str, text: str, detector: str) -> None:
    spec = installed().detector(detector)
    for override in (f"{key}={text}", f"{key}{text}"):
        try:
            config = resolve(spec, "binary", preset="demo", overrides=[override])
        except UserError as error:
            assert "\n" not in str(error)
        else:
            assert isinstance(config, Config) and config.as_dict()
