"""Finds the files in folders that are called like labels, and counts what is left out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from avbench.errors import UserError
from avbench.types import Sample
from avbench_folder.labels import forgery_called, is_label

_VIDEO = (
    "mp4 m4v mov qt avi divx mkv webm mpg mpeg mpe mpv m2v vob wmv asf flv f4v ts mts m2ts m2t 3gp 3g2 ogv ogm mxf dv "
    "rm rmvb y4m gif"
)
_SOUND = "wav mp3 mp2 flac ogg oga opus spx m4a m4b aac wma aif aiff aifc au caf amr ac3 eac3 mka wv ape tta w64"
VIDEO, SOUND = (frozenset(f".{ending}" for ending in endings.split()) for endings in (_VIDEO, _SOUND))


@dataclass(slots=True)
class LeftOut:
    """What of a folder is no sample: folders by name, files by ending, hidden files, files beside the class folders."""

    folders: list[str] = field(default_factory=list)
    endings: Counter[str] = field(default_factory=Counter)
    hidden: int = 0
    beside: int = 0

    def lines(self) -> list[str]:
        """Return what is left out in sentences; none where nothing is."""
        found = []
        if self.folders:
            found.append(f"folders left out, since their names are no labels: {', '.join(self.folders)}")
        if self.beside:
            found.append(f"{self.beside} files left out that lie beside the class folders")
        if self.endings:
            endings = ", ".join(f"{ending or 'without one'} {n}" for ending, n in self.endings.most_common(12))
            found.append(f"{self.endings.total()} files left out for their endings: {endings}")
        if self.hidden:
            found.append(f"{self.hidden} hidden files left out")
        return found


def find(root: Path) -> tuple[list[Sample], LeftOut]:
    """Return the samples in the class folders of `root`, linked folders included, and what is left out.

    Raises UserError for a folder that cannot be read and for one that is met twice, as links make it.
    """
    left = LeftOut()
    samples: list[Sample] = []
    met: dict[tuple[int, int], str] = {}
    try:
        tops = sorted(root.iterdir())
    except OSError as error:
        _refuse(error)
    for top in tops:
        if not top.is_dir():
            left.hidden += top.name.startswith(".")
            left.beside += not top.name.startswith(".")
        elif is_label(top.name):
            samples += _in_folder(root, top, met, left)
        else:
            left.folders.append(top.name)
    return samples, left


def _in_folder(root: Path, top: Path, met: dict[tuple[int, int], str], left: LeftOut) -> Iterator[Sample]:
    for folder, below, names in os.walk(top, followlinks=True, onerror=_refuse):
        about, own = os.stat(folder), os.path.relpath(folder, root)
        if (other := met.setdefault((about.st_dev, about.st_ino), own)) != own:
            raise UserError(f"{root}: {own} and {other} are one folder, by a link; remove one of them")
        below.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if name.startswith("."):
                left.hidden += 1
            elif path.suffix.lower() not in VIDEO | SOUND:
                left.endings[path.suffix.lower()] += 1
            else:
                place = path.relative_to(root).as_posix()
                yield Sample(place, path, forgery_called(top.name), identity=place, cluster=place)


def _refuse(error: OSError) -> NoReturn:
    raise UserError(f"{error.filename}: {error.strerror}; every folder must be readable") from error
