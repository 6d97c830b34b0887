"""Cards to tables: one run in the terminal, many side by side with their spread over seeds, and all as Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from avbench.errors import UserError
from avbench.plugins.builtin import avbench_metrics
from avbench.records.card import title
from avbench.records.table import Table, percent, published, spread, text, with_interval
from avbench.records.table import markdown as as_markdown

Card = Mapping[str, Any]
HEADLINE = ("acc", "auc", "majority", "balanced_acc", "eer", "ap")
_TITLES = {spec.name: spec.title for spec in avbench_metrics()}
_RANK = {name: place for place, name in enumerate([*HEADLINE, *_TITLES])}
_GRANULARITIES = ("video", "clip")


def settings_of(card: Card) -> Iterator[tuple[str, str]]:
    """Yield (placement, granularity) in the order in which the card reports them."""
    metrics = card.get("metrics", {})
    order = [p for p in card["protocol"].get("placements", ()) if p in metrics]
    for placement in [*order, *(p for p in metrics if p not in order)]:
        for granularity in sorted(metrics[placement], key=_GRANULARITIES.index):
            yield placement, granularity


def reported_setting(card: Card) -> tuple[str, str] | None:
    """Return the setting that published values stand beside: one labelled clip a video, else the headline."""
    settings = list(settings_of(card))
    return ("oracle", "video") if ("oracle", "video") in settings else settings[0] if settings else None


def metric_table(card: Card, names: Sequence[str] | None = None) -> Table:
    """Return metrics by row and placement by column; `names` picks rows (default: all, the headline first)."""
    settings = list(settings_of(card))
    entries = {setting: card["metrics"][setting[0]][setting[1]] for setting in settings}
    found = sorted({name for one in entries.values() for name in one} | set(card.get("reported", {})), key=_rank)
    reported, beside = card.get("reported", {}), reported_setting(card)
    head, rows = ["%"], []
    for placement, granularity in settings:
        head += [f"{placement}, per {granularity}"]
        head += ["reported"] if reported and (placement, granularity) == beside else []
    shown = found if names is None else [name for name in names if name in found]
    for name in shown:
        row = [_TITLES.get(name, name)]
        for setting in settings:
            row.append(with_interval(entries[setting].get(name)))
            row += [published(reported.get(name))] if reported and setting == beside else []
        rows.append(tuple(row))
    return Table(title(card), tuple(head), tuple(rows), tuple(_notes(card, shown, entries.values())))


def _rank(name: str) -> tuple[int, str]:
    return _RANK.get(name, len(_RANK)), name


def _notes(card: Card, shown: Sequence[str], settings: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    entries = [(name, one[name]) for one in settings for name in shown if name in one]
    undefined = [(name, entry["note"]) for name, entry in entries if "note" in entry]
    yield from dict.fromkeys(f"{_TITLES.get(name, name)}: {note}" for name, note in undefined)
    if any(entry.get("few_clusters") for _, entry in entries):
        yield "* few clusters: fewer than ten, the interval is a rough guide only"
    for ceiling in list(card.get("ceilings", {}).values())[:1]:
        about = next(iter(ceiling.values()))
        yield (
            f"a perfect detector of {about['stream']} alone would reach "
            f"Acc {percent(about['acc'])}, AUC {percent(about['auc'])} here"
        )
    for blind in list(card.get("blind", {}).values())[:1]:
        about = next(iter(blind.values()))
        value = with_interval({"value": about["auc"], "ci95": about["ci95"]})
        yield f"{about['stream']} alone, RARV against {about['against']}, unseen by it: AUC {value}, 50 is expected"


def confusion_tables(card: Card) -> Iterator[Table]:
    """Yield the confusion matrix of each setting with its row shares."""
    for placement, granularity in settings_of(card):
        found = card["confusion"][placement][granularity]
        rows = []
        for name, counts in zip(found["labels"], found["matrix"], strict=True):
            total = sum(counts)
            rows.append((name, *(f"{n} ({percent(n / total) if total else '–'} %)" for n in counts)))
        yield Table(f"Confusion, {placement}, per {granularity}", ("true \\ called", *found["labels"]), tuple(rows))


def count_lines(card: Card) -> Iterator[str]:
    """Yield what was judged, what was not, and why."""
    counts = card.get("counts")
    if not counts:
        return
    total = counts["scored"] + counts["unscored"]
    classes = ", ".join(f"{name} {n}" for name, n in counts["by_class"].items() if n)
    share = percent(counts["scored"] / total if total else None)
    yield f"{counts['scored']} of {total} videos scored ({share} %): {classes}"
    if counts["unscored"]:
        reasons = ", ".join(f"{reason} {n}" for reason, n in counts["reasons"].items())
        left_out = ", ".join(f"{name} {n}" for name, n in counts.get("unscored_by_class", {}).items() if n)
        yield f"without a score: {reasons}" + f" ({left_out})" * bool(left_out)
    if "too_short" in counts["reasons"]:
        yield from too_short_line(card)


def too_short_line(card: Card) -> Iterator[str]:
    """Yield what too short means to this detector, where its card knows."""
    clip = card.get("training", {}).get("config", {}).get("clip", {})
    if clip.get("min_frames") and clip.get("fps"):
        least, fps = clip["min_frames"], clip["fps"]
        yield f"too_short: fewer than {least} frames at {fps:g} fps, {least / fps:g} s"


def origin_lines(card: Card) -> Iterator[str]:
    """Yield where the numbers come from: run, data, training, marks."""
    yield f"run {card['id']} ({card['status']}), preset {card['detector'].get('preset') or 'none'}"
    for name in ("train", "test"):
        if about := card.get("data", {}).get(name):
            who = f"by {about.get('identity_is', 'identity')}: {about['identities']}"
            yield f"{name}: {about['title']}, {about['n']} videos ({who})"
    training = card.get("training", {})
    if left_out := training.get("without_clip"):
        yield "training and validation videos without a clip: " + ", ".join(f"{r} {n}" for r, n in left_out.items())
    if training.get("chosen_epoch") is not None:
        yield f"epoch {training['chosen_epoch']} chosen by {training.get('selected_on', 'unknown')}"
    for member in card.get("members", []):
        yield f"member {member['detector']}: run {member['run']}, learns {' and '.join(member['requires'])}"
    if card.get("members"):
        yield f"scores combined by {training['config']['settings']['combine']}"
    if card.get("marks"):
        yield f"marks: {', '.join(card['marks'])}"


def terminal(card: Card) -> str:
    """Return a run as text: headline metrics with 95 % intervals, confusion matrices, what has no score."""
    if not card.get("metrics"):
        return f"{title(card)}\n{card.get('error') or card['status']}: nothing measured yet ({card['id']})"
    about = "\n".join([*count_lines(card), *origin_lines(card)])
    if card.get("counts") and not card["counts"]["scored"]:
        return f"{title(card)}\nno video of the test list has a score, so there is nothing to measure\n{about}"
    headline = [*HEADLINE, *(f"collapsed_{name}" for name in ("acc", "auc"))]
    if card.get("members"):  # a mean of one certain and one innocent branch is about one half, so Acc there says little
        headline += ["acc_at_threshold", "balanced_acc_at_threshold"]
    tables = [metric_table(card, headline), *confusion_tables(card), *perturbation_tables(card)]
    blocks = [text(table) for table in tables]
    return "\n\n".join([*blocks, about])


def perturbation_tables(card: Card) -> Iterator[Table]:
    """Yield what became of the figures under perturbations, where there were any."""
    from avbench.report.robustness_tables import robustness_tables

    if card.get("perturbations"):
        yield from robustness_tables(card)


def summary_table(cards: Sequence[Card]) -> Table:
    """Return one row per finished run and placement: Acc and AUC with intervals, published values, marks."""
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
        "marks",
    )
    rows = []
    for card, placement, entries in _by_video(cards):
        beside = card.get("reported", {}) if (placement, "video") == reported_setting(card) else {}
        acc, auc = entries.get("acc"), entries.get("auc")
        rows.append(
            (
                *_names(card),
                str(card["seed"]),
                placement,
                scored_of(card, acc["n"]) if acc else "–",
                with_interval(acc),
                published(beside.get("acc")),
                with_interval(auc),
                published(beside.get("auc")),
                percent(entries["majority"]["value"]) if "majority" in entries else "–",
                ", ".join(card.get("marks", [])),
            )
        )
    return Table("Runs", head, tuple(rows)).without_empty_columns()


def scored_of(card: Card, scored: int) -> str:
    """Show how many videos a number rests on, and of how many where some have no score."""
    counts = card.get("counts") or {}
    total = counts.get("scored", 0) + counts.get("unscored", 0)
    return f"{scored} of {total}" if total > scored else str(scored)


def spread_table(cards: Sequence[Card]) -> Table:
    """Return mean, standard deviation and range over seeds and folds of the same cell; scores are never pooled."""
    groups: dict[tuple[str, ...], list[tuple[Card, Mapping[str, Any]]]] = {}
    for card, placement, entries in _by_video(cards):
        marks = ", ".join(mark for mark in card.get("marks", []) if mark != "few clusters")
        about = [card["detector"].get("version"), card.get("training", {}).get("config")]
        configuration = json.dumps(about, sort_keys=True)
        groups.setdefault((*_names(card), placement, marks, configuration), []).append((card, entries))
    rows = []
    for (*names, marks, _), members in groups.items():
        if len(members) > 1:
            values = [[entries.get(name, {}).get("value") for _, entries in members] for name in ("acc", "auc")]
            rows.append((*names, str(len(members)), *(spread(v) for v in values), marks))
    head = ("detector", "protocol", "task", "placement", "runs", "Acc %", "AUC %", "marks")
    title = "Over seeds and folds: mean ± standard deviation (lowest to highest)"
    return Table(title, head, tuple(rows)).without_empty_columns()


def _by_video(cards: Sequence[Card]) -> Iterator[tuple[Card, str, Mapping[str, Any]]]:
    for card in _finished(cards):
        for placement, granularity in settings_of(card):
            if granularity == "video":
                yield card, placement, card["metrics"][placement][granularity]


def _names(card: Card) -> tuple[str, str, str]:
    """Name what must agree for runs to be compared: the detector's preset and the protocol's version included."""
    detector, protocol = card["detector"], card["protocol"]
    preset = f" ({detector['preset']})" if detector.get("preset") not in {None, "default"} else ""
    return detector["name"] + preset, f"{protocol['name']} v{protocol['version']}", card["task"].replace("_", "-")


def _finished(cards: Sequence[Card]) -> list[Card]:
    finished = [card for card in cards if card.get("metrics")]
    if not finished:
        raise UserError("no finished run among these; run avbench run first, or name other runs")
    return sorted(finished, key=lambda card: (*_names(card), card["seed"], card["id"]))


def summary(cards: Sequence[Card]) -> str:
    """Return several runs as text: one row each, then the spread of those that differ in seed or fold alone."""
    return "\n\n".join(text(table) for table in summaries(cards))


def summaries(cards: Sequence[Card]) -> list[Table]:
    """Return the table of several runs, and that of their spread where some differ in seed or fold alone."""
    return [table for table in (summary_table(cards), spread_table(cards)) if table.rows]


def markdown(cards: Sequence[Card]) -> str:
    """Return runs as GitHub Markdown: the summary, then every metric and confusion matrix of each run."""
    blocks = [as_markdown(table) for table in summaries(cards)]
    for card in _finished(cards):
        blocks += [
            as_markdown(table) for table in (metric_table(card), *confusion_tables(card), *perturbation_tables(card))
        ]
        blocks.append("\n".join(f"- {line}" for line in [*count_lines(card), *origin_lines(card)]))
    return "\n\n".join(blocks) + "\n"
