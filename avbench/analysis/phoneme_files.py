"""Which phoneme is spoken when: Praat TextGrids (long and short), NIST CTM, and .npz files of truth."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avbench.errors import UserError

SILENCES = {"", "sil", "sp", "spn", "<eps>", "silence"}
SUFFIXES = (".TextGrid", ".textgrid", ".ctm", ".npz")
TIERS = ("phones", "phonemes", "phone", "phoneme")  # of a TextGrid, the first that is there


@dataclass(frozen=True, slots=True)
class Spoken:
    """A phoneme as labelled, with its start and end in seconds of the video."""

    label: str
    start: float
    end: float

    @property
    def name(self) -> str:
        """Return the label in lower case without stress marks, "" for silence."""
        plain = re.sub(r"[\d_ˈˌ]+.*$", "", self.label.strip().lower()) if self.label else ""
        return "" if plain in SILENCES else plain


def read_phonemes(path: Path, video: str = "") -> list[Spoken]:
    """Return a file's phonemes in order of time; `video` is the id whose lines of a CTM of several are taken.

    Raises UserError for a file that cannot be read, of an unknown kind, or without phonemes.
    """
    readers = {".textgrid": _of_textgrid, ".ctm": _of_ctm, ".npz": _of_truth}
    kind = path.suffix.lower()
    if kind not in readers:
        raise UserError(f"{path}: phonemes are read from .TextGrid, .ctm and .npz files")
    try:
        found = readers[kind](path, video)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise UserError(f"{path}: no phonemes can be read: {str(error).splitlines()[0]}") from error
    if wrong := [s for s in found if not s.end >= s.start >= 0]:
        raise UserError(f"{path}: phoneme {wrong[0].label!r} lasts from {wrong[0].start} to {wrong[0].end} s")
    return sorted(found, key=lambda spoken: spoken.start)


def _of_textgrid(path: Path, video: str) -> list[Spoken]:
    """Read the interval tier of phonemes: of the long format and the short, what stands in order is the same."""
    data = path.read_bytes()
    text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    if "ooTextFile" not in text or "TextGrid" not in text:
        raise ValueError("not a TextGrid")
    body = re.sub(r"(?m)^\s*(item|intervals|points)\s*\[\d*\]:?.*$", "", text)  # numbers that are no values
    tokens = re.findall(r'"(?:[^"]|"")*"|<exists>|-?\d+(?:\.\d+)?(?:[eE]-?\d+)?', body)
    tokens = tokens[tokens.index("<exists>") + 2 :]  # behind the number of tiers
    tiers: dict[str, list[Spoken]] = {}
    while tokens:
        kind, name, count = tokens[0].strip('"'), tokens[1].strip('"'), int(tokens[4])
        width = 3 if kind == "IntervalTier" else 2
        cells, tokens = tokens[5 : 5 + width * count], tokens[5 + width * count :]
        if len(cells) < width * count:
            raise ValueError(f"tier {name!r} is cut off")
        if kind == "IntervalTier":
            rows = zip(*(cells[k::3] for k in range(3)), strict=True)
            tiers[name] = [Spoken(label[1:-1].replace('""', '"'), float(a), float(b)) for a, b, label in rows]
    chosen = next((name for wanted in TIERS for name in tiers if name.lower().split(" - ")[-1] == wanted), None)
    if chosen is None:
        raise ValueError(f"no tier called {' or '.join(TIERS[:2])}; there are {', '.join(tiers) or 'none'}")
    return tiers[chosen]


def _of_ctm(path: Path, video: str) -> list[Spoken]:
    """Read lines of recording, channel, start, length, phoneme; of several recordings the one of the video's name."""
    lines = [
        line.split() for line in path.read_text("utf-8").splitlines() if line.strip() and not line.startswith(";;")
    ]
    recordings = dict.fromkeys(words[0] for words in lines)
    stem = video.rsplit(".", 1)[0]
    wanted = next((name for name in recordings if name in (video, stem, stem.rsplit("/", 1)[-1])), None)
    if wanted is None and len(recordings) > 1:
        raise ValueError(f"{len(recordings)} recordings, none called {stem}")
    chosen = [words for words in lines if wanted is None or words[0] == wanted]
    if not chosen:
        raise ValueError("it is empty")
    return [Spoken(words[4], float(words[2]), float(words[2]) + float(words[3])) for words in chosen]


def _of_truth(path: Path, video: str) -> list[Spoken]:
    """Read `phonemes` (n,) and `phoneme_times` (n,2) of an .npz file."""
    with np.load(path, allow_pickle=False) as truth:
        rows = zip(truth["phonemes"], truth["phoneme_times"], strict=True)
        return [Spoken(str(label), float(start), float(end)) for label, (start, end) in rows]


def beside(given: Path, video: str, suffixes: tuple[str, ...] = SUFFIXES) -> Path:
    """Return a file of a video: `given` itself, or in that folder the one called like the video's id, or its name.

    Raises UserError where there is none.
    """
    if given.is_file():
        return given
    if not given.is_dir():
        raise UserError(f"{given}: no such file or folder")
    stem = video.rsplit(".", 1)[0]
    tried = [given / f"{name}{suffix}" for name in (stem, stem.rsplit("/", 1)[-1]) for suffix in suffixes]
    found = next((path for path in tried if path.is_file()), None)
    if found is None:
        raise UserError(f"{given}: no {' or '.join(suffixes)} of {video}, such as {tried[0]}")
    return found
