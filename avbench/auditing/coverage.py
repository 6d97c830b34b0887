"""Which share of the videos would be scored: files that cannot be read, missing streams, videos that are too short."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from avbench.auditing.verdicts import Level, Verdict
from avbench.data.lengths import UNREAD
from avbench.data.scanning import REASON
from avbench.records.table import percent
from avbench.types import Forgery, Reason

SHORT = (1.0, 4.0)  # seconds: LipForensics leaves out what is shorter than the first, FGMDF than the second
BROKEN_ALLOWED = 0.01  # the share of files that may fail before a run stops
CUT_OFF = 0.2  # seconds by which packets fall short of a header, or go beyond it or the metadata
SHOWN = 3


def coverage(table: pd.DataFrame) -> dict[str, Any]:
    """Return for all videos and for each class how many there are, and how many are lost for which reason."""
    lost = losses(table)
    by_class = {f.name: _counts(lost[table["forgery"] == f]) for f in Forgery}
    broken = table.loc[lost["broken"], ["id", REASON]].sort_values("id")
    return {
        **_counts(lost),
        "by_class": by_class,
        "reasons": {str(k): int(v) for k, v in table[REASON].value_counts().sort_index().items()},
        "examples": [f"{row.id} ({row.reason})" for row in broken.head(SHOWN).itertuples()],
    }


def losses(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of bool by reason, a row for each of `table`."""

    def column(name: str) -> pd.Series:
        return table[name] if name in table else pd.Series(None, table.index, dtype=object)

    def number(name: str) -> pd.Series:
        return pd.to_numeric(column(name), errors="coerce")

    broken = table[REASON].notna()
    seconds = number("seconds")
    claimed = seconds + number("claims_too_much").clip(lower=0).fillna(0.0)
    found = {
        "broken": broken,
        str(Reason.NO_VIDEO): ~broken & ~column("has_video").eq(True),
        str(Reason.NO_AUDIO): ~broken & ~column("has_audio").eq(True),
        "cut_off": ~broken & (claimed - number("video_seconds") > CUT_OFF),
        "goes_on": ~broken & (number("claims_too_much") < -CUT_OFF),
        "no_length": ~broken & number("header_seconds").isna() & (number("recordings") > 0),
        "listed_longer": ~broken & (number("listed_seconds") - seconds > CUT_OFF),
        "listed_shorter": ~broken & (seconds - number("listed_seconds") > CUT_OFF),
        "appended": ~broken & (number("recordings") > 1),
        "unread": ~broken & (number("unread") > UNREAD),
        "several_streams": ~broken & (number("streams") > 1),
    }
    found["damaged"] = ~broken & (pd.to_numeric(column("damaged"), errors="coerce") > 0)
    found["silent"] = ~broken & column("silent").eq(True)
    for least in SHORT:
        found[f"under_{least:g}_s"] = ~broken & (seconds < least - 1e-6)
    return pd.DataFrame(found)


def _counts(lost: pd.DataFrame) -> dict[str, int]:
    return {"n": len(lost), **{str(name): int(values.sum()) for name, values in lost.items()}}


def verdict(found: dict[str, Any]) -> Verdict:
    """Return whether detectors would be compared on all videos."""
    n = max(found["n"], 1)
    broken, short = found["broken"], found["under_1_s"]
    missing = found["no_video"] + found["no_audio"]
    parts = [f"{percent((n - broken) / n)} % of {found['n']} can be read"]
    if broken:
        parts.append(f"{broken} cannot: {', '.join(found['examples'])}")
    parts += [f"{found[key]} {text}" for key, text in _TEXTS.items() if found.get(key)]
    odd = broken or missing or short or any(found.get(key) for key in _ODD)
    level: Level = "fail" if broken > max(2, BROKEN_ALLOWED * n) else "warning" if odd else "ok"
    advice = "" if level == "ok" else "mend or leave out these files; compare detectors on what both scored"
    return Verdict("coverage", (10,), level, "; ".join(parts), advice, (n - broken) / n)


_TEXTS = {
    "no_video": "without pictures",
    "no_audio": "without sound",
    "cut_off": "end before their header says",
    "goes_on": "go on behind what their header says",
    "no_length": "whose header tells no length",
    "listed_longer": "shorter than the metadata say",
    "listed_shorter": "longer than the metadata say",
    "appended": "hold several recordings",
    "unread": "hold much behind their last packet, which nothing reads",
    "several_streams": "hold several streams of a kind",
    "damaged": "with damaged pictures or a hole in them",
    "silent": "whose sound is silence",
    "under_1_s": "under 1 s",
    "under_4_s": "under 4 s, not scored by detectors of 4 s",
}
# The columns of the table; those behind are there where they hold anything.
_HEADS = {
    "broken": "unreadable",
    "no_video": "no pictures",
    "no_audio": "no sound",
    "cut_off": "cut off",
    "under_1_s": "under 1 s",
    "under_4_s": "under 4 s",
}
_FURTHER = {
    "goes_on": "over header",
    "no_length": "no length",
    "listed_longer": "under metadata",
    "listed_shorter": "over metadata",
    "appended": "appended",
    "unread": "unread",
    "several_streams": "streams",
}
# What can be read in two ways, so that somebody should look at it.
_ODD = ("cut_off", "goes_on", "listed_longer", "listed_shorter", "appended", "unread", "damaged", "silent")


def heads(found: Mapping[str, Any]) -> dict[str, str]:
    """Return the heads of the columns of the table by count."""
    return _HEADS | {key: head for key, head in _FURTHER.items() if found.get(key)}


def lines(found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield a row of texts for each class."""
    for name, counts in {"all": found, **found["by_class"]}.items():
        if counts["n"]:
            yield (name, str(counts["n"]), *(str(counts[key]) for key in heads(found)))
