"""The scores table: one row for every judged clip, one file for every run; all metrics are a pure function of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from avbench.errors import UserError, in_one_line
from avbench.paths import atomic_write
from avbench.types import FORMER_PLACEMENTS, PLACEMENTS, Reason, Sample

PROBABILITIES = ("p_rarv", "p_rafv", "p_farv", "p_fafv")
_BOUNDED = ("score", *PROBABILITIES, "p_video", "p_audio")
_LABELS = ("forgery", "clip_forgery")
_TEXTS = ("id", "identity", "cluster", "method", "placement", "perturbation", "reason")
_REQUIRED = ("id", "forgery", "placement", "start", "end", "score")
_KEY = ["placement", "id", "start", "perturbation", "level"]

COLUMNS: Mapping[str, pa.DataType] = {
    "id": pa.string(),
    "identity": pa.string(),
    "cluster": pa.string(),
    "method": pa.string(),
    "forgery": pa.int8(),  # the video's class
    "clip_forgery": pa.int8(),  # the clip's own class
    "placement": pa.string(),
    "perturbation": pa.string(),  # "" where the video is as it is
    "level": pa.int8(),  # 0 there, else 1 to 5
    "start": pa.float64(),  # seconds
    "end": pa.float64(),
    "score": pa.float64(),  # P(fake); null where the sample has no score
    "logit": pa.float64(),  # log-odds of a forgery, which a score near 1 has lost; null of a bounded score
    "p_rarv": pa.float64(),  # null for a binary detector
    "p_rafv": pa.float64(),
    "p_farv": pa.float64(),
    "p_fafv": pa.float64(),
    "p_video": pa.float64(),  # null without branches
    "p_audio": pa.float64(),
    "psnr": pa.float64(),  # dB, of perturbed pictures; inf where nothing changed, null where that says nothing
    "snr": pa.float64(),  # dB, of perturbed sound
    "kbps": pa.float64(),  # of what was coded
    "frozen": pa.float64(),  # share of the clip's pictures that stand in for damaged or missing ones; null without any
    "level_db": pa.float64(),  # of the clip's sound, dB of full scale; -inf for digital silence, null without any
    "mix_db": pa.float64(),  # of that sound over its loudest channel, dB; null where there is one channel
    "reason": pa.string(),  # "" or a Reason
}
_SCHEMA = pa.schema(list(COLUMNS.items()))


def coerce(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with every column of the schema, in its type and order, sorted by (placement, id, start).

    Columns that are left out are filled: `clip_forgery` from `forgery`, `cluster` from `identity` and that from `id`,
    other numbers with null, other texts with "". Raises UserError for a missing or malformed column.
    """
    missing = [name for name in _REQUIRED if name not in table]
    if missing:
        raise UserError(f"the scores table has no column {', '.join(missing)}; it needs {', '.join(_REQUIRED)}")
    columns: dict[str, Any] = {}
    for name in COLUMNS:
        if name in _TEXTS:
            given = table[name] if name in table else pd.Series("", index=table.index)
            columns[name] = given.astype(object).where(given.notna(), "").astype(str)
        else:
            source = "forgery" if name == "clip_forgery" and name not in table else name
            columns[name] = _numbers(table, source)
    columns["placement"] = columns["placement"].replace(dict(FORMER_PLACEMENTS))
    for name, source in (("identity", "id"), ("cluster", "identity")):
        columns[name] = columns[name].where(columns[name] != "", columns[source])
    for name in _LABELS:
        if not columns[name].isin((0, 1, 2, 3)).all():
            raise UserError(f"column {name} of the scores table must hold 0 RARV, 1 RAFV, 2 FARV or 3 FAFV in each row")
        columns[name] = columns[name].astype(np.int8)
    columns["level"] = columns["level"].fillna(0).astype(np.int8)
    return ordered(pd.DataFrame(columns))


def sigmoid(logit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability of log-odds; a small one keeps all its digits."""
    with np.errstate(invalid="ignore"):  # nan stays nan
        return np.asarray(np.exp(-np.logaddexp(0, -logit)))


def ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows sorted by placement, id, start and condition, whatever order they were made in."""
    return table.sort_values([*_KEY, "reason"], kind="stable", ignore_index=True)


def empty() -> pd.DataFrame:
    """Return a scores table without a row."""
    return coerce(pd.DataFrame(columns=list(_REQUIRED)))


def _numbers(table: pd.DataFrame, name: str) -> pd.Series:
    if name not in table:
        return pd.Series(np.nan, index=table.index, dtype=np.float64)
    try:
        return pd.to_numeric(table[name]).astype(np.float64)
    except (ValueError, TypeError) as error:
        raise UserError(f"column {name} of the scores table holds something that is no number: {error}") from None


def validate(table: pd.DataFrame) -> None:
    """Raise UserError for the first row of a coerced table that cannot be true."""
    _reject(table, ~table["placement"].isin(PLACEMENTS), "placement is neither oracle nor sliding")
    _reject(table, table["id"] == "", "id is empty")
    _reject(table, table["end"] <= table["start"], "the clip ends before it starts")
    for name in _BOUNDED:
        _reject(table, ~(table[name].isna() | table[name].between(0, 1)), f"{name} is not within [0, 1]")
    unscored = table["score"].isna()
    odd = ~(np.abs(sigmoid(table["logit"].to_numpy(np.float64)) - table["score"]) <= 1e-3)
    _reject(table, table["logit"].notna() & (odd | ~np.isfinite(table["logit"])), "logit is not the log-odds of score")
    _reject(table, table.duplicated(_KEY) & ~unscored, "the same clip is scored twice")
    _reject(table, unscored & ~table["reason"].isin(list(Reason)), "no score, and no known reason why")
    _reject(table, ~unscored & (table["reason"] != ""), "a score, and a reason why there is none")
    classes = table[list(PROBABILITIES)]
    _reject(table, classes.isna().any(axis=1) & classes.notna().any(axis=1), "some class probabilities are missing")
    _reject(table, (classes.sum(axis=1, skipna=False) - 1).abs() > 1e-3, "class probabilities do not add up to 1")
    off = (1 - table["p_rarv"] - table["score"]).abs() > 1e-3
    _reject(table, off | (unscored & classes.notna().any(axis=1)), "score is not 1 - p_rarv")


def _reject(table: pd.DataFrame, bad: pd.Series, what: str) -> None:
    if bad.any():
        first = table.iloc[int(bad.to_numpy().argmax())]
        where = f"{first['id']} ({first['placement']}, {first['start']} s)"
        raise UserError(f"scores table: {what}: {where}, and {int(bad.sum()) - 1} more rows; correct what wrote them")


def write(table: pd.DataFrame, path: Path, metadata: Mapping[str, Any]) -> None:
    """Write a validated table as parquet: all of it or nothing; equal content gives equal bytes.

    `metadata` holds what metrics need beside the rows: task, run id, the threshold chosen on validation data.
    """
    table = coerce(table)
    validate(table)
    arrow = pa.Table.from_pandas(table, schema=_SCHEMA, preserve_index=False)
    # Only our own metadata: what pandas adds names its version, which would change the bytes.
    arrow = arrow.replace_schema_metadata({"avbench": json.dumps(dict(metadata), sort_keys=True)})
    with atomic_write(path) as temporary:
        pq.write_table(
            arrow, temporary, compression="zstd", version="2.6", row_group_size=2**17, write_page_checksum=True
        )


def read(path: Path, sha256: str = "") -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the table and the metadata of a file that `write` made.

    Raises UserError for one that cannot be read or whose checksums say that it was damaged, and, where its `sha256` is
    known, for any other file.
    """
    try:
        content = path.read_bytes()
        if sha256 and (found := hashlib.sha256(content).hexdigest()) != sha256:
            raise UserError(
                f"{path} is not what was measured: its sha256 is {found[:16]}..., the card says {sha256[:16]}...; "
                "restore it, or make it anew by repeating its command with --fresh"
            )
        arrow = pq.read_table(pa.BufferReader(content), page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        why = str(error).splitlines()[0]
        raise UserError(
            f"cannot read the scores {path}: {why}; restore it, or repeat its command with --fresh"
        ) from None
    if b"avbench" not in (arrow.schema.metadata or {}):
        raise UserError(f"{path} is not a scores file of avbench; scores of other tools: avbench evaluate --scores")
    try:
        metadata: dict[str, Any] = json.loads(arrow.schema.metadata[b"avbench"])
        table = coerce(arrow.to_pandas())
    except ValueError as error:  # damaged where no checksum of a page covers it
        raise UserError(
            f"cannot read the scores {path}: {in_one_line(error)}; restore it, or repeat its command with --fresh"
        ) from None
    validate(table)
    return table, metadata


def sample_rows(samples: Iterable[Sample]) -> pd.DataFrame:
    """Return one row per sample with what the scores table knows of it: id, identity, cluster, method, forgery."""
    rows = [(s.id, s.identity or s.id, s.cluster or s.identity or s.id, s.method, int(s.forgery)) for s in samples]
    return pd.DataFrame(rows, columns=["id", "identity", "cluster", "method", "forgery"])
