"""Reads scores that another framework wrote, one a video; what does not fit the test list is refused by name."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TextIO
from unicodedata import normalize

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from avbench.errors import UserError
from avbench.records.scores import PROBABILITIES, coerce, sample_rows, validate
from avbench.types import Forgery, Placement, Sample

log = logging.getLogger(__name__)

NUMBERS = ("score", *PROBABILITIES, "p_video", "p_audio", "logit")
READ = ("id", *NUMBERS, "reason")
# What `avbench export-list` writes beside the id. Labels are compared, the rest is of no use here.
LISTED = (
    *("path", "label", "forgery", "identity", "method", "split"),
    *("clip_start", "clip_end", "fake_start", "fake_end"),
)
_NOTHING = {"", "nan", "none", "null", "na", "n/a"}
_ROUNDING = 1e-3


def read_external(path: Path, samples: Iterable[Sample], placement: Placement = "oracle") -> pd.DataFrame:
    """Read one score per video that another framework wrote, joined to the test list.

    The file is CSV in UTF-8 with commas, or parquet, with the columns `id` and either `score` = P(fake) or `p_rarv` to
    `p_fafv`; p_video, p_audio and `logit`, the log-odds of the score, are welcome. A video without a score stays in the
    file, with an empty score and a `reason`. Raises UserError for unknown, missing or repeated ids, for scores that are
    not numbers within [0, 1], and for columns that contradict each other or the list.
    """
    given = _read_any(path)
    four_class = _require_columns(path, list(given.columns))
    tested = sample_rows(samples)
    ids = _ids_of_list(given["id"], tested["id"])
    _complain(path, "ids appear more than once", ids[ids.duplicated()])
    unlisted = ids[~ids.isin(tested["id"])]
    _complain(path, f"ids are not in the test list{_hint(unlisted, tested['id'])}", unlisted)
    _complain(path, "ids of the test list are missing", tested["id"][~tested["id"].isin(ids)])
    kept = [name for name in given if name in READ or name in {"label", "forgery"}]
    # The list's own class has the name `forgery` too.
    theirs = given[kept].assign(id=ids).rename(columns={"label": "their_label", "forgery": "their_forgery"})
    table = tested.merge(theirs, on="id", validate="one_to_one")
    _require_same_labels(path, table)
    for name in set(kept) & set(NUMBERS):
        table[name] = _numbers(path, table, name)
    if four_class:
        fake = 1 - table["p_rarv"]
        if "score" in table:
            apart = table["score"].notna() & ~((table["score"] - fake).abs() <= _ROUNDING)
            _complain(path, "ids have a score that is not 1 - p_rarv: leave one out", table["id"][apart])
        table["score"] = fake
    reason = table["reason"].fillna("").str.strip() if "reason" in table else pd.Series("", index=table.index)
    table["reason"] = reason.mask(reason.str.lower().isin(_NOTHING), "")
    nothing = ~np.isfinite(table["score"]) & (table["reason"] == "")
    _complain(path, "ids have no finite score and no reason", table["id"][nothing])
    table = coerce(table.assign(placement=placement, start=np.nan, end=np.nan))
    validate(table)
    return table


def _read_any(path: Path) -> pd.DataFrame:
    """Return the file as it stands; of a CSV all cells are texts."""
    try:
        if path.suffix.lower() == ".parquet":
            table: pd.DataFrame = pq.read_table(path, page_checksum_verification=True).to_pandas()
            return table
        if path.open("rb").read(2) in (b"\xff\xfe", b"\xfe\xff"):
            raise UserError(f"{path} is UTF-16; save it as UTF-8")
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _rows(path, file)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is neither parquet nor UTF-8 text ({error}); save it as a CSV file in UTF-8") from None
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        why = (str(error).splitlines() or ["no reason given"])[0]
        raise UserError(f"cannot read the scores {path}: {why:.300}") from None


def _rows(path: Path, file: TextIO) -> pd.DataFrame:
    rows = csv.reader(file)
    header: list[str] = next(rows, [])
    cells = []
    for row in rows:
        if not any(row):
            continue
        if len(row) != len(header):
            raise UserError(f"{path}, line {rows.line_num}: {len(row)} cells, expected {len(header)}; correct the row")
        cells.append(row)
    return pd.DataFrame(cells, columns=pd.Index(header, dtype=object), dtype=object)


def _require_columns(path: Path, names: list[str]) -> bool:
    """Whether there are class probabilities; UserError where columns are missing, repeated or misspelt."""
    names = [str(name) for name in names]
    for mark, called in ((";", "semicolons"), ("\t", "tabs"), ("|", "'|'")):
        if len(names) == 1 and mark in names[0]:
            raise UserError(f"{path}: columns are separated by {called}; save the file with commas")
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{path}: column {name!r} stands there {names.count(name)} times; leave one")
        if name not in READ and (meant := name.strip("\ufeff \t\"'").lower()) in READ:
            raise UserError(f"{path}: column {name!r} is called {meant}: small letters, no blanks or quotes around it")
    given = [name for name in PROBABILITIES if name in names]
    if given and len(given) < len(PROBABILITIES):
        absent = ", ".join(name for name in PROBABILITIES if name not in given)
        raise UserError(f"{path} has {', '.join(given)}, but not {absent}; give all four or none")
    if "id" not in names or not (given or "score" in names):
        raise UserError(f"{path} needs the columns id and score (or id and {', '.join(PROBABILITIES)})")
    if ignored := [name for name in names if name not in (*READ, *LISTED)]:
        log.warning("%s: ignored columns: %s; known: %s", path, ", ".join(map(repr, ignored)), ", ".join(READ))
    return bool(given)


def _ids_of_list(ids: pd.Series, listed: pd.Series) -> pd.Series:
    """Return ids as the list spells them: an accent may be a sign of its own or part of its letter."""
    texts = ids.map(str).astype(object)
    spelled: Mapping[str, str] = {normalize("NFC", name): name for name in listed if not name.isascii()}
    return texts.map(lambda name: name if name.isascii() else spelled.get(normalize("NFC", name), name))


def _hint(unlisted: pd.Series, listed: pd.Series) -> str:
    """Say how the first id that is not in the list differs from one that is; nothing where it is like none."""
    if not len(unlisted):
        return ""
    name, known = str(unlisted.iloc[0]), set(listed)
    if name.strip() in known:
        return ", for the blanks around them"
    if name.strip().replace("\\", "/").removeprefix("./") in known:
        return ", for \\ or ./ in them"
    if name.strip().casefold() in {one.casefold() for one in known}:
        return ", for their capitals"
    if any(name.endswith(f"/{one}") for one in known):
        return ": an id is the path below the database's folder"
    return ""


def _require_same_labels(path: Path, table: pd.DataFrame) -> None:
    classes = [Forgery(int(value)) for value in table["forgery"]]
    spellings = {
        "label": [{"1", "1.0", "fake", "true"} if one else {"0", "0.0", "real", "false"} for one in classes],
        "forgery": [{one.name.lower(), str(int(one)), f"{int(one)}.0"} for one in classes],
    }
    for name, right in spellings.items():
        if f"their_{name}" in table:
            said = [str(value).strip().lower() for value in table[f"their_{name}"]]
            wrong = [text not in {*known, *_NOTHING} for text, known in zip(said, right, strict=True)]
            _complain(path, f"ids have another {name} than the list: correct it or leave it out", table["id"][wrong])


def _numbers(path: Path, table: pd.DataFrame, name: str) -> pd.Series:
    texts = table[name].map(lambda cell: "" if str(cell).strip().lower() in _NOTHING else str(cell).strip())
    numbers = pd.to_numeric(texts.replace("", np.nan), errors="coerce").astype(np.float64)
    wrong = numbers.isna() & (texts != "")
    comma = " (write 0.5, not 0,5)" if texts[wrong].str.contains(",").any() else ""
    _complain(path, f"ids have a {name} that is no number{comma}", table["id"][wrong])
    return numbers


def _complain(path: Path, what: str, ids: pd.Series) -> None:
    if len(ids):
        shown = ", ".join(_shown(str(name)[:120]) for name in ids.iloc[:3])
        raise UserError(f"{path}: {len(ids)} {what}: {shown}{', ...' if len(ids) > 3 else ''}; compare `export-list`")


def _shown(name: str) -> str:
    return name if name == name.strip() and name.isprintable() else repr(name)
