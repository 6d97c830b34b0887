"""How long the videos of a list are, and what else their files say, before clips are placed in them.

Files are opened in worker processes: some block or end whoever opens them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from avbench.data.scanning import REASON, scan_files
from avbench.media.reading import probe
from avbench.progress import Progress, silent
from avbench.types import MediaError, MediaInfo, Reason, Sample

DIFFERS = 0.2  # seconds by which a file may differ from the metadata of its database before it is worth a word
UNREAD = 0.25  # share of a file behind its last packet; indices and tags take less
SHOWN = 3
_KIND = "what a file holds 5"


def probe_files(
    paths: Iterable[Path],
    *,
    workers: int | None = None,
    time_limit: float = 60.0,
    memory: float = 4.0,
    progress: Progress = silent,
) -> dict[Path, MediaInfo | MediaError]:
    """Return what each file holds, or why that cannot be told; what did not change since the last time is not read."""
    found = scan_files(
        paths,
        _probed,
        _KIND,
        workers=workers,
        time_limit=time_limit,
        memory=memory,
        progress=progress,
        title="measure videos",
    )
    return {path: _read_back(path, value) for path, value in found.items()}


def _probed(path: Path) -> dict[str, Any]:
    return asdict(probe(path))


def _read_back(path: Path, value: dict[str, Any]) -> MediaInfo | MediaError:
    if REASON in value:
        return MediaError(Reason(value[REASON]), value.get("error") or f"{path}: {value[REASON]}")
    choices = {name: tuple(value[name]) for name in ("video_choice", "audio_choice")}
    return MediaInfo(**(value | choices))


def seconds_by_id(samples: Sequence[Sample], files: Mapping[Path, MediaInfo | MediaError]) -> dict[str, float]:
    """Return the length of each sample that its metadata do not tell, or tell wrongly: that of its file.

    A file that cannot be read has the length that its metadata tell.
    """
    found = {}
    for sample in samples:
        info = files.get(sample.path)
        if isinstance(info, MediaInfo) and (sample.duration is None or abs(_beyond(sample, info)) > DIFFERS):
            found[sample.id] = max(0.0, info.duration - sample.skip)
    return found


def _beyond(sample: Sample, info: MediaInfo) -> float:
    """Return the seconds by which a file is longer than its metadata say."""
    return info.duration - sample.skip - (sample.duration or 0.0)


def notes_on(samples: Sequence[Sample], files: Mapping[Path, MediaInfo | MediaError]) -> Iterator[str]:
    """Yield a line for each kind of thing that should be known of the files: for the card, and for whoever runs it."""
    known = [(s, i) for s in samples if isinstance(i := files.get(s.path), MediaInfo)]
    listed = [(s.id, _beyond(s, i)) for s, i in known if s.duration is not None]
    found: dict[str, list[str]] = {
        "shorter than their header says": [s.id for s, i in known if i.claims_too_much > 0],
        "longer than their header says": [s.id for s, i in known if i.claims_too_much < 0],
        "shorter than the metadata say": [name for name, beyond in listed if beyond < -DIFFERS],
        "longer than the metadata say": [name for name, beyond in listed if beyond > DIFFERS],
        "several recordings, one appended to the other": [s.id for s, i in known if i.recordings > 1],
        f"more than {UNREAD:.0%} of the file is behind its last packet": [s.id for s, i in known if i.unread > UNREAD],
    }
    for name, which in (("pictures", "video_choice"), ("sound", "audio_choice")):
        several = [(s.id, *getattr(i, which)) for s, i in known if getattr(i, which)[1] > 1]
        found[f"several streams of {name}, the default one is taken"] = [
            f"{name} ({number} of {count})" for name, number, count in several
        ]
    for what, ids in found.items():
        if ids:
            more = ", ..." if len(ids) > SHOWN else ""
            yield f"{len(ids)} of {len(samples)} test videos: {what}: {', '.join(ids[:SHOWN])}{more}"
