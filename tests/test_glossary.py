"""The glossary: every name stands at the door that the page names, and the exported names are explained."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

GLOSSARY = Path(__file__).resolve().parents[1] / "docs" / "glossary.md"
NAMED = sorted(set(re.findall(r"`(avbench[\w.]*):([\w.]+)`", GLOSSARY.read_text("utf-8"))))


def _exists(owner: Any, name: str) -> bool:
    return hasattr(owner, name) or name in getattr(owner, "__dataclass_fields__", {})


@pytest.mark.parametrize(("door", "name"), NAMED, ids=":".join)
def test_every_name_stands_at_its_door(door: str, name: str) -> None:
    owner: Any = importlib.import_module(door)
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    assert _exists(owner, last)


@pytest.mark.parametrize("door", ["avbench.types", "avbench.detector"])
def test_exported_names_are_explained(door: str) -> None:
    module = importlib.import_module(door)
    own = [n for n, v in vars(module).items() if not n.startswith("_") and getattr(v, "__module__", "") == door]
    explained = {name.split(".")[0] for _, name in NAMED}
    exported = set(getattr(module, "__all__", own))
    assert len(exported) >= 2 and sorted(exported - explained) == []


def test_rows_are_whole_and_no_word_is_explained_twice() -> None:
    rows = [line.split("|") for line in GLOSSARY.read_text("utf-8").splitlines() if line.startswith("| ")]
    assert all(len(row) == 5 and row[2].strip() for row in rows)
    words = [row[1].strip() for row in rows if row[1].strip() != "word"]
    assert len(words) > 40 and sorted({word for word in words if words.count(word) > 1}) == []
