"""Cards to tables: one run in the terminal, many side by side with their spread over seeds, and all as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from avbench.errors import UserError
from avbench.plugins.builtin import avbench_metrics
from avbench.records.card import Card
from avbench.records.measured import Measured, Setting
from avbench.records.table import Table, percent, published, spread, text, with_interval
from avbench.records.table import markdown as as_markdown
from avbench.report.cells import caveats_of, cell, names, newest

HEADLINE = ("acc", "auc", "majority", "balanced_acc", "eer", "ap")
_TITLES = {spec.name: spec.title for spec in avbench_metrics()}
_RANK = {name: place for place, name in enumerate([*HEADLINE, *_TITLES])}


def metric_table(card: Card, names: Sequence[str] | None = None) -> Table:
    """Return metrics by row and placement by column; `names` picks rows (default: all, the headline first)."""
    settings = list(card.settings())
    entries = {setting: card.metrics_at(setting) for setting in settings}
    found = sorted({name for one in entries.values() for name in one} | set(card.reported), key=_rank)
    reported, beside = card.reported, card.reported_setting()
    head, rows = ["%"], []
    for setting in settings:
        head += [setting.title]
        head += ["reported"] if reported and setting == beside else []
    shown = found if names is None else [name for name in names if name in found]
    for name in shown:
        row = [_TITLES.get(name, name)]
        for setting in settings:
            row.append(with_interval(entries[setting].get(name)))
            row += [published(reported.get(name))] if reported and setting == beside else []
        rows.append(tuple(row))
    return Table(card.title, tuple(head), tuple(rows), tuple(_notes(card, shown, entries.values())))


def _rank(name: str) -> tuple[int, str]:
    return _RANK.get(name, len(_RANK)), name


def _notes(card: Card, shown: Sequence[str], settings: Iterable[Mapping[str, Measured]]) -> Iterator[str]:
    entries = [(name, one[name]) for one in settings for name in shown if name in one]
    undefined = [(name, entry.note) for name, entry in entries if entry.note]
    yield from dict.fromkeys(f"{_TITLES.get(name, name)}: {note}" for name, note in undefined)
    if any(entry.few_clusters for _, entry in entries):
        yield "* few clusters: fewer than ten, the interval is a rough guide only"
    for ceiling in [one for found in card.ceilings.values() for one in found.values()][:1]:
        yield (
            f"a perfect detector of {ceiling.stream} alone would reach "
            f"Acc {percent(ceiling.acc)}, AUC {percent(ceiling.auc)} here"
        )
    for blind in [one for found in card.blind.values() for one in found.values()][:1]:
        value = with_interval(blind.measured)
        yield f"{blind.stream} alone, RARV against {blind.against}, unseen by it: AUC {value}, 50 is expected"


def confusion_tables(card: Card) -> Iterator[Table]:
    """Yield the confusion matrix of each setting with its row shares."""
    for setting in card.settings():
        found = card.confusion_at(setting)
        if found is None:
            continue
        rows = []
        for name, counts in zip(found.labels, found.matrix, strict=True):
            total = sum(counts)
            rows.append((name, *(f"{n} ({percent(n / total) if total else '–'} %)" for n in counts)))
        yield Table(f"Confusion, {setting.title}", ("true \\ called", *found.labels), tuple(rows))


def count_lines(card: Card) -> Iterator[str]:
    """Yield what was judged, what was not, and why."""
    counts = card.counts
    if counts is None:
        return
    classes = ", ".join(f"{name} {n}" for name, n in counts.by_class.items() if n)
    share = percent(counts.scored / counts.total if counts.total else None)
    yield f"{counts.scored} of {counts.total} videos scored ({share} %): {classes}"
    if counts.unscored:
        reasons = ", ".join(f"{reason} {n}" for reason, n in counts.reasons.items())
        left_out = ", ".join(f"{name} {n}" for name, n in counts.unscored_by_class.items() if n)
        yield f"without a score: {reasons}" + f" ({left_out})" * bool(left_out)
    for placement, clips in counts.clips.items():
        if clips.frozen:
            yield f"{placement}: {clips.frozen} of {clips.scored} clips stand still for a fifth of their time or more"
        if clips.silent:
            yield f"{placement}: {clips.silent} of {clips.scored} clips have sound in which nothing can be heard"
    if "too_short" in counts.reasons:
        yield from too_short_line(card)


def too_short_line(card: Card) -> Iterator[str]:
    """Yield what too short means to this detector, where its card knows."""
    clip = card.training.config.get("clip", {})
    if clip.get("min_frames") and clip.get("fps"):
        least, fps = clip["min_frames"], clip["fps"]
        yield f"too_short: fewer than {least} frames at {fps:g} fps, {least / fps:g} s"


def origin_lines(card: Card) -> Iterator[str]:
    """Yield where the numbers come from: run, data, training, caveats."""
    yield f"run {card.id} ({card.status}), preset {card.detector.preset or 'none'}"
    for name in ("train", "test"):
        if about := card.data.lists().get(name):
            yield f"{name}: {about.title}, {about.n} videos (by {about.identity_is}: {about.identities})"
    training = card.training
    if left_out := training.without_clip:
        yield "training and validation videos without a clip: " + ", ".join(f"{r} {n}" for r, n in left_out.items())
    if training.chosen_epoch is not None:
        yield f"epoch {training.chosen_epoch} chosen by {training.selected_on or 'unknown'}"
    for member in card.members:
        yield f"member {member.detector}: run {member.run}, learns {' and '.join(member.requires)}"
    if rule := training.config.get("settings", {}).get("combine") if card.members else None:
        yield f"scores combined by {rule}"
    if card.caveats:
        yield f"caveats: {', '.join(card.caveats)}"


def terminal(card: Card) -> str:
    """Return a run as text: headline metrics with 95 % intervals, confusion matrices, what has no score."""
    if not card.metrics:
        return f"{card.title}\n{card.error or card.status}: nothing measured yet ({card.id})"
    about = "\n".join([*count_lines(card), *origin_lines(card)])
    if card.counts is not None and not card.counts.scored:
        return f"{card.title}\nno video of the test list has a score, so there is nothing to measure\n{about}"
    headline = [*HEADLINE, *(f"collapsed_{name}" for name in ("acc", "auc"))]
    if card.members:  # a mean of one certain and one innocent branch is about one half, so Acc there says little
        headline += ["acc_at_threshold", "balanced_acc_at_threshold"]
    tables = [metric_table(card, headline), *confusion_tables(card), *perturbation_tables(card)]
    blocks = [text(table) for table in tables]
    return "\n\n".join([*blocks, about])


def perturbation_tables(card: Card) -> Iterator[Table]:
    """Yield what became of the figures under perturbations, where there were any."""
    from avbench.report.robustness_tables import robustness_tables

    if card.perturbations is not None:
        yield from robustness_tables(card)


def summary_table(cards: Sequence[Card]) -> Table:
    """Return one row per finished run and placement: Acc and AUC with intervals, published values, caveats."""
    head = (
        "detector",
        "protocol",
        "task",
        "seed",
        "placement",
        "videos",
        "Acc %",
        "reported",
        "AUC %",
        "reported",
        "majority %",
        "caveats",
    )
    rows = []
    for card, placement, entries in _by_video(cards):
        beside = card.reported if Setting(placement, "video") == card.reported_setting() else {}
        acc, auc = entries.get("acc"), entries.get("auc")
        rows.append(
            (
                *names(card),
                str(card.seed),
                placement,
                scored_of(card, acc.n or 0) if acc else "–",
                with_interval(acc),
                published(beside.get("acc")),
                with_interval(auc),
                published(beside.get("auc")),
                percent(entries["majority"].value) if "majority" in entries else "–",
                ", ".join(card.caveats),
            )
        )
    return Table("Runs", head, tuple(rows)).without_empty_columns()


def scored_of(card: Card, scored: int) -> str:
    """Show how many videos a number rests on, and of how many where some have no score."""
    total = card.counts.total if card.counts is not None else 0
    return f"{scored} of {total}" if total > scored else str(scored)


def spread_table(cards: Sequence[Card]) -> Table:
    """Return mean, standard deviation and range over seeds and folds of a cell, each once; scores are never pooled."""
    groups: dict[tuple[str, ...], dict[str, tuple[Card, Mapping[str, Measured]]]] = {}
    for card, placement, entries in _by_video(cards):
        groups.setdefault((placement, *cell(card)), {})[card.id] = card, entries
    rows = []
    for (placement, *_), members in groups.items():
        kept = [members[card.id] for card in newest(card for card, _ in members.values())]
        if len(kept) > 1:
            values = [[entries.get(name, Measured()).value for _, entries in kept] for name in ("acc", "auc")]
            first = kept[0][0]
            rows.append((*names(first), placement, str(len(kept)), *(spread(v) for v in values), caveats_of(first)))
    head = ("detector", "protocol", "task", "placement", "runs", "Acc %", "AUC %", "caveats")
    title = "Over seeds and folds: mean ± standard deviation (lowest to highest)"
    return Table(title, head, tuple(rows)).without_empty_columns()


def _by_video(cards: Sequence[Card]) -> Iterator[tuple[Card, str, Mapping[str, Measured]]]:
    for card in _finished(cards):
        for setting in card.settings():
            if setting.granularity == "video":
                yield card, setting.placement, card.metrics_at(setting)


def _finished(cards: Sequence[Card]) -> list[Card]:
    finished = [card for card in cards if card.metrics]
    if not finished:
        raise UserError("no finished run among these; run avbench run first, or name other runs")
    return sorted(finished, key=lambda card: (*names(card), card.seed, card.id))


def summary(cards: Sequence[Card]) -> str:
    """Return several runs as text: mean and spread of those that differ in seed or fold alone, then one row each."""
    return "\n\n".join(text(table) for table in summaries(cards))


def summaries(cards: Sequence[Card]) -> list[Table]:
    """Return the spread of runs that differ in seed or fold alone, where there are any, and the table of all runs."""
    return [table for table in (spread_table(cards), summary_table(cards)) if table.rows]


def markdown(cards: Sequence[Card]) -> str:
    """Return runs as GitHub Markdown: the summary, then every metric and confusion matrix of each run."""
    blocks = [as_markdown(table) for table in summaries(cards)]
    for card in _finished(cards):
        blocks += [
            as_markdown(table) for table in (metric_table(card), *confusion_tables(card), *perturbation_tables(card))
        ]
        blocks.append("\n".join(f"- {line}" for line in [*count_lines(card), *origin_lines(card)]))
    return "\n\n".join(blocks) + "\n"
