"""Files of published weights: where each lies, that it is the one meant, how it is downloaded, what is for the hand.

A file is held to the sha256 that was published. Where none was, its own is recorded when it is first used, and every
later use is held to that: beside the file in the cache, for a file elsewhere in the cache's folder weights/used.
"""

from __future__ import annotations

import logging
import urllib.error
import urllib.request
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from avbench.errors import UserError
from avbench.hashing import digest_of, sha256
from avbench.paths import atomic_write, cache_folder
from avbench.types import WeightSpec

log = logging.getLogger(__name__)

WHOLE = 64  # characters of a sha256 in hex
TIMEOUT = 60  # seconds


def place(spec: WeightSpec) -> Path:
    """Return where the file is looked for: in the cache, or in the package that it ships with."""
    if spec.shipped:
        package, _, name = spec.shipped.partition(":")
        return Path(str(files(package))) / name
    suffix = Path(file_name(spec)).suffix
    return _folder() / f"{spec.name}{suffix if suffix not in ('', '.zip') else '.pth'}"


def file_name(spec: WeightSpec) -> str:
    """Return what the file is called where it was published; empty where its address does not tell."""
    return spec.file or (spec.url.rpartition("/")[2] if spec.scripted else "")


def cached(spec: WeightSpec) -> Path | None:
    """Return the fetched, hand-placed or shipped file, or None."""
    path = place(spec)
    return path if path.is_file() else None


def held(path: Path, spec: WeightSpec | None = None) -> str:
    """Return a file's sha256, held to what was published of `spec` and to what was recorded when it was first used.

    Raises UserError for another one.
    """
    found = sha256(path)
    if spec is not None and not found.startswith(spec.sha256):
        if spec.shipped:
            raise UserError(f"{path}: sha256 is {found}, shipped was {spec.sha256}; install the package again")
        raise UserError(
            f"{path}: sha256 is {found}, that of {spec.name} is {shown(spec)}; remove it and run avbench weights fetch "
            f"{spec.name}, or give a file of your own by --set {spec.setting}=FILE"
        )
    if spec is None or len(spec.sha256) < WHOLE:
        _compare(path, found)
    return found


def recorded(path: Path) -> str:
    """Return the sha256 that was recorded when the file was first used; empty where it was not yet."""
    note = _note(path)
    return note.read_text("utf-8").split()[0] if note.is_file() else ""


def shown(spec: WeightSpec) -> str:
    """Return the published sha256 for a reader."""
    if not spec.sha256:
        return "not published"
    return spec.sha256 if len(spec.sha256) == WHOLE else f"{spec.sha256}..."


def fetch(spec: WeightSpec, progress: Callable[[int, int], None] | None = None) -> Path:
    """Download weights into the cache and verify their sha256; return the file.

    Raises UserError for a host that is for the hand, a failed download and another sha256 than the published one.
    """
    if spec.shipped:
        return place(spec)
    if not spec.scripted:
        raise UserError(" ".join(for_the_hand(spec)))
    target = place(spec)
    try:
        with urllib.request.urlopen(spec.url, timeout=TIMEOUT) as answer, atomic_write(target) as temporary:
            total = int(answer.headers.get("Content-Length") or 0)
            with temporary.open("wb") as out:
                while block := answer.read(1 << 20):
                    out.write(block)
                    if progress and total:
                        progress(out.tell(), total)
                got = out.tell()
            if total and got != total:
                raise UserError(f"{spec.name}: {got:,} of {total:,} bytes came; the download is discarded, try again")
            found = sha256(temporary)
            if not found.startswith(spec.sha256):
                raise UserError(f"{spec.name}: sha256 is {found}, expected {shown(spec)}; the download is discarded")
    except OSError as error:
        raise UserError(
            f"{spec.name}: cannot download {spec.url}: {error}; fetch it elsewhere and put it at {target}, or give it "
            f"by --set {spec.setting}=FILE"
        ) from error
    _record(target, found)
    return target


def size_of(spec: WeightSpec) -> int:
    """Return the size of the file in bytes, asked of its host where it is not declared; 0 where nobody tells."""
    if spec.size or not spec.scripted or spec.shipped:
        return spec.size
    try:
        request = urllib.request.Request(spec.url, method="HEAD")
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return int(answer.headers.get("Content-Length") or 0)
    except (OSError, ValueError):
        return 0


def for_the_hand(spec: WeightSpec) -> tuple[str, ...]:
    """Return in sentences which file to download by hand, where to put it, and how it is checked."""
    what = f"{spec.by_hand}." if spec.by_hand else ""
    checked = f"its sha256 must be {shown(spec)}"
    if len(spec.sha256) < WHOLE:
        checked = "names and shapes must be the network's; its sha256 is recorded at first use and compared ever after"
    said = (
        f"{spec.name} cannot be downloaded by a program: open {spec.url} and save "
        f"{file_name(spec) or 'what it gives'}.",
        what,
        f"Put it at {place(spec)}, or give it by --set {spec.setting}=FILE.",
        f"It is checked: {checked}.",
    )
    return tuple(filter(None, said))


def _folder() -> Path:
    return cache_folder() / "weights"


def _note(path: Path) -> Path:
    """Return where a file's sha256 is recorded: beside it in the cache, else in the cache under a hash of its path."""
    path = path.resolve()
    if path.parent == _folder().resolve():
        return path.with_name(path.name + ".sha256")
    return _folder() / "used" / f"{digest_of(str(path))[:16]}.sha256"


def _compare(path: Path, found: str) -> None:
    """Hold a file to what was recorded of it, or record it; UserError where it has changed."""
    before = recorded(path)
    if not before:
        _record(path, found)
    elif before != found:
        raise UserError(
            f"{path}: the file has changed since it was first used (sha256 {found[:16]}..., it was {before[:16]}...); "
            f"get the former one again, or remove {_note(path)} if the change was meant"
        )


def _record(path: Path, found: str) -> None:
    """Record a file's sha256, as sha256sum writes it; a cache that cannot be written is told and forgiven."""
    note = _note(path)
    try:
        with atomic_write(note) as temporary:
            temporary.write_text(f"{found}  {path.resolve()}\n", "utf-8")
    except OSError as error:
        log.warning("the sha256 of %s cannot be recorded: %s", path, error)
