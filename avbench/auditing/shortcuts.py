"""Shortcuts: does something beside the forgery tell the classes apart? One AUC for each number a file is known by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from avbench.auditing.areas import area
from avbench.auditing.verdicts import TELLS, Area, Verdict, in_part, worst
from avbench.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class Probe:
    """A column of measured facts, what it is called, and the group of shortcuts it belongs to."""

    column: str
    title: str
    group: str


@dataclass(frozen=True, slots=True)
class Group:
    """Shortcuts that have one cause and one remedy; `numbers` are rows of docs/audit.md."""

    name: str
    numbers: tuple[int, ...]
    advice: str


GROUPS = {
    "leading silence": Group(
        "leading silence",
        (1,),
        "train and judge again with --trim-silence and report both figures; run the detector leading_silence beside",
    ),
    "silence": Group(
        "silence elsewhere",
        (2,),
        "compare with placement sliding and with --trim-silence before trusting detectors of sound",
    ),
    "length": Group("length", (3,), "judge clips of one length (placement sliding or oracle), never the whole video"),
    "size": Group(
        "file size and bitrate",
        (3, 11),
        "encode all videos alike (crf 23, AAC at 64 kbit/s); look at video_compression in avbench perturb",
    ),
    "encoding": Group("encoding and resolution", (11,), "encode all videos alike before anything is trained on them"),
    "loudness": Group("loudness", (3,), "bring all sounds to one loudness, or augment it in training"),
}
PROBES = (
    Probe("leading_silence", "leading silence", "leading silence"),
    Probe("trailing_silence", "trailing silence", "silence"),
    Probe("silence_fraction", "silence fraction", "silence"),
    Probe("seconds", "duration", "length"),
    Probe("frames", "frames", "length"),
    Probe("fps", "frame rate", "encoding"),
    Probe("bytes", "file size", "size"),
    Probe("file_kbps", "bitrate of the file", "size"),
    Probe("video_kbps", "bitrate of the pictures", "size"),
    Probe("audio_kbps", "bitrate of the sound", "size"),
    Probe("resolution", "resolution", "encoding"),
    Probe("video_codec", "picture codec", "encoding"),
    Probe("key_frames", "share of key frames", "encoding"),
    Probe("sample_rate", "sample rate", "encoding"),
    Probe("channels", "sound channels", "encoding"),
    Probe("audio_codec", "sound codec", "encoding"),
    Probe("sound_starts", "start of the sound", "encoding"),
    Probe("container", "container and its writer", "encoding"),
    Probe("loudness", "loudness", "loudness"),
)
# Each label: which rows are positive, of four classes.
LABELS: Mapping[str, Callable[[pd.Series], pd.Series]] = {
    "fake": lambda forgery: forgery > 0,
    "video": lambda forgery: forgery & 1 > 0,
    "audio": lambda forgery: forgery & 2 > 0,
}


@dataclass(frozen=True, slots=True)
class Shortcut:
    """How well a probe tells a label in a part of the data: fake, video (the pictures are fake) or audio."""

    part: str
    probe: str
    title: str
    group: str
    label: str
    area: Area

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        plain = asdict(self)
        return {**plain, **plain.pop("area")}


def shortcuts(
    populations: Mapping[str, pd.DataFrame], *, resamples: int = 1000, seed: int = 0, progress: Progress = silent
) -> list[Shortcut]:
    """Measure every probe for every label in every part."""
    found = []
    with progress("shortcuts", len(populations) * len(PROBES), 0) as bar:
        for part, table in populations.items():
            for probe in PROBES:
                values = table[probe.column] if probe.column in table else pd.Series(None, table.index, dtype=object)
                for label, positive in LABELS.items():
                    about = area(values, positive(table["forgery"]), table["cluster"], resamples=resamples, seed=seed)
                    found.append(Shortcut(part, probe.column, probe.title, probe.group, label, about))
                bar.advance()
    return found


def verdicts(found: Sequence[Shortcut], part: str) -> Iterator[Verdict]:
    """Yield a verdict for each group, on the given part: its worst probe is the evidence."""
    for key, group in GROUPS.items():
        mine = [s for s in found if s.group == key and s.part == part]
        known = [s for s in mine if s.area.value is not None]
        level = worst(s.area.level for s in known)
        if not known:
            missing = "one class alone" if any(s.area.n for s in mine) else "nothing to measure"
            yield Verdict(group.name, group.numbers, "not applicable", f"{missing} in {part}")
            continue
        loudest = max(known, key=lambda s: (s.area.surely, abs((s.area.value or 0.5) - 0.5)))
        told = [s for s in known if s.area.surely > TELLS]
        others = dict.fromkeys(s.title for s in told if s.title != loudest.title)
        evidence = f"{loudest.title} tells {_what(loudest.label)}: AUC {loudest.area.shown}"
        if not told:
            shown = f"{loudest.title}, {_what(loudest.label)}: AUC {loudest.area.shown}"
            evidence = f"nothing surely tells the classes apart; the farthest from chance is {shown}"
        if others:
            evidence += f"; also {', '.join(others)}"
        if loudest.area.few_clusters:
            evidence += f" (few clusters: {loudest.area.clusters})"
        yield Verdict(
            group.name,
            group.numbers,
            level,
            in_part(evidence, part),
            group.advice if told else "",
            loudest.area.value,
            loudest.area.ci95,
            loudest.area.few_clusters,
        )


def _what(label: str) -> str:
    return {"fake": "fake from real", "video": "fake pictures", "audio": "fake sound"}[label]
