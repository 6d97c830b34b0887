"""Rows that stand there twice, and videos that are the same bytes, with one label or with two."""

from __future__ import annotations

from typing import Any

import pandas as pd

from avbench.auditing.verdicts import Verdict

SHOWN = 3


def duplicates(table: pd.DataFrame) -> dict[str, Any]:
    """Return counts of repeated ids, repeated paths and repeated contents, and of contents with two classes."""
    hashes = table["file_hash"].dropna() if "file_hash" in table else pd.Series(dtype=object)
    copies = table.loc[hashes.index[hashes.duplicated(keep=False)]]
    classes = copies.groupby("file_hash")["forgery"].nunique() if len(copies) else pd.Series(dtype=int)
    contrary = copies[copies["file_hash"].isin(classes[classes > 1].index)] if len(copies) else copies
    return {
        "ids": int(table.duplicated(["dataset", "id"]).sum()),
        "paths": int(table.duplicated("path").sum()),
        "copies": int(copies["file_hash"].duplicated().sum()) if len(copies) else 0,
        "copied": sorted(copies["id"])[:SHOWN],
        "contrary": len(contrary),
        "contrary_examples": sorted(contrary["id"])[:SHOWN],
    }


def verdict(found: dict[str, Any]) -> Verdict:
    """Return what duplicates mean: contrary labels are an error of the database, copies weigh double."""
    name, numbers = "duplicates", (8,)
    if found["contrary"]:
        examples = ", ".join(found["contrary_examples"])
        evidence = f"{found['contrary']} videos are the same bytes with different classes: {examples}"
        return Verdict(name, numbers, "fail", evidence, "find out which label is true, and remove the other rows")
    if found["ids"] or found["paths"] or found["copies"]:
        shown = f": {', '.join(found['copied'])}" if found["copied"] else ""
        evidence = (
            f"{found['ids']} ids and {found['paths']} paths stand there more than once, "
            f"{found['copies']} videos are copies of another one{shown}"
        )
        return Verdict(name, numbers, "warning", evidence, "keep one row of each; n and intervals count copies double")
    return Verdict(name, numbers, "ok", "every row, path and content occurs once")
