"""An audit as tables, for the terminal, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import fill

from tabulate import tabulate

from avbench.auditing import coverage, modality
from avbench.auditing.report import Audit
from avbench.auditing.shortcuts import LABELS, PROBES
from avbench.auditing.verdicts import LEVELS
from avbench.records.page import render
from avbench.records.table import Table, markdown, percent, text
from avbench.types import Forgery

LABEL_TITLES = {"fake": "fake or real", "video": "pictures forged", "audio": "sound forged"}
WIDTH = 62  # letters of a line of evidence in the terminal
_NUMBERS = "numbers: the rows of docs/audit.md"


def title(audit: Audit) -> str:
    """Name an audit in one line, demo data first so that nobody overlooks it."""
    return " · ".join(["DEMO DATA"] * audit.demo + ["audit", audit.name])


def verdict_table(audit: Audit, width: int | None = None) -> Table:
    """Return a row for each pitfall, worst first: verdict, evidence, what to do; lines are broken at `width`."""

    def broken(words: str) -> str:
        return fill(words, width) if width else words

    rows = tuple(
        (
            verdict.level,
            verdict.name,
            " ".join(map(str, verdict.numbers)),
            broken(verdict.evidence) + (f"\n{broken(f'-> {verdict.advice}')}" if verdict.advice else ""),
        )
        for verdict in audit.verdicts
    )
    return Table(
        title(audit), ("verdict", "pitfall", "no.", "evidence, and what to do"), rows, (summary(audit), _NUMBERS)
    )


def summary(audit: Audit) -> str:
    """Count the verdicts in one line."""
    return ", ".join(f"{audit.count(level)} {level}" for level in LEVELS)


def shortcut_tables(audit: Audit) -> Iterator[Table]:
    """Yield for each part the AUC of every probe, by label."""
    for part in dict.fromkeys(shortcut.part for shortcut in audit.shortcuts):
        cells = {(s.probe, s.label): s.area.shown for s in audit.shortcuts if s.part == part}
        rows = tuple((p.title, *(cells[p.column, label] for label in LABELS)) for p in PROBES)
        note = "AUC in %, 95 % interval over clusters; 50 is chance, below 50 tells as much as above; * few clusters"
        yield Table(f"Shortcuts, {part}", ("probe", *LABEL_TITLES.values()), rows, (note,))


def further_tables(audit: Audit) -> Iterator[Table]:
    """Yield counts, ceilings and coverage."""
    counts = []
    for name, found in audit.facts["parts"].items():
        by_class = (str(found["by_class"][f.name]) for f in Forgery)
        clusters = f"{found['clusters']['real']} / {found['clusters']['fake']}"
        counts.append((name, *by_class, clusters, percent(found["majority"]), percent(found["majority_four"])))
    head = ("part", *(f.name for f in Forgery), "clusters real / fake", "majority %", "of four %")
    yield Table("Counts", head, tuple(counts))
    rows = tuple(modality.lines(audit.facts["ceilings"]))
    yield Table(f"What one stream can reach, {audit.part}", ("who sees", "Acc %", "balanced Acc %", "AUC %"), rows)
    found = audit.facts["coverage"]
    heads = ("class", "videos", *coverage.heads(found).values())
    yield Table("Coverage", heads, tuple(coverage.lines(found)))


def terminal(audit: Audit) -> str:
    """Return verdicts, shortcuts and counts as text."""
    table = verdict_table(audit, WIDTH)
    body = tabulate(table.rows, headers=table.head, tablefmt="simple", disable_numparse=True)
    blocks = [*(text(one) for one in (*further_tables(audit), *shortcut_tables(audit)))]
    return "\n\n".join([*blocks, "\n".join([table.title, body, *table.notes])])


def as_markdown(audit: Audit) -> str:
    """Return everything as GitHub Markdown."""
    tables = [verdict_table(audit), *shortcut_tables(audit), *further_tables(audit)]
    return "\n\n".join(markdown(table) for table in tables) + "\n"


def as_html(audit: Audit, figures: list[Path]) -> str:
    """Return everything as one self-contained page, with figures (SVG) inside."""
    return render(
        "avbench.auditing",
        "audit.html.j2",
        name=f"avbench audit of {audit.name}",
        demo=audit.demo,
        verdicts=verdict_table(audit),
        tables=[*shortcut_tables(audit), *further_tables(audit)],
        drawn=figures,
    )
