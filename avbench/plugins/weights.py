"""Published weights: which a detector can start from, fetched only when asked for, always with a sha256."""

from __future__ import annotations

import logging
import urllib.request
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from avbench.config import Weights
from avbench.errors import UserError
from avbench.hashing import sha256
from avbench.paths import atomic_write, cache_folder
from avbench.settings import plain
from avbench.types import AnySettings, DetectorSpec, WeightSpec

log = logging.getLogger(__name__)


def cached(spec: WeightSpec) -> Path | None:
    """Return the fetched or shipped file, or None."""
    path = _place(spec)
    return path if path.is_file() else None


def choose(spec: DetectorSpec, settings: AnySettings) -> dict[str, Weights]:
    """Resolve each weight setting to a file and its sha256, or to "random".

    A setting is "random" or "none", "auto" (fetched weights where there are some, else random), the name of weights
    that were fetched or ship with the plugin, or a file. Raises UserError for a file or name that is not there.
    """
    values = plain(settings)
    chosen: dict[str, Weights] = {}
    for setting in dict.fromkeys(w.setting for w in spec.weights):
        published = [w for w in spec.weights if w.setting == setting]
        chosen[setting] = _resolve(setting, str(values.get(setting) or "random"), published)
    return chosen


def _resolve(setting: str, value: str, published: list[WeightSpec]) -> Weights:
    if value in {"random", "none"}:
        return Weights()
    if value == "auto":
        paths = [path for path in (cached(weights) for weights in published if not weights.shipped) if path]
        if not paths:
            log.info("%s: nothing fetched, starting from random weights", setting)
        return _file(paths[0]) if paths else Weights()
    for weights in published:
        if value == weights.name:
            path = cached(weights)
            if path is None:
                raise UserError(f"--set {setting}={value}: not fetched yet; run avbench weights fetch {value}")
            if weights.shipped and (found := sha256(path)) != weights.sha256:
                raise UserError(f"{path}: sha256 is {found}, shipped was {weights.sha256}; install the package again")
            return _file(path)
    if not Path(value).expanduser().is_file():
        names = ", ".join(w.name for w in published)
        raise UserError(f"--set {setting}={value}: no such file; give a file, random, auto or one of: {names}")
    return _file(Path(value).expanduser())


def fetch(spec: WeightSpec, progress: Callable[[int, int], None] | None = None) -> Path:
    """Download weights into the cache and verify their sha256; return the file.

    Where no checksum was published, the file's own is written beside it and every later load is held to it.
    """
    if spec.shipped:
        return _place(spec)
    if "drive.google.com" in spec.url:
        raise UserError(f"{spec.name} is on Google Drive: download {spec.url} by hand, then --set {spec.setting}=FILE")
    place = _place(spec)
    try:
        with urllib.request.urlopen(spec.url, timeout=60) as answer, atomic_write(place) as temporary:
            total = int(answer.headers.get("Content-Length") or 0)
            with temporary.open("wb") as out:
                while block := answer.read(1 << 20):
                    out.write(block)
                    if progress and total:
                        progress(out.tell(), total)
            found = sha256(temporary)
            if spec.sha256 and found != spec.sha256:
                raise UserError(f"{spec.name}: sha256 is {found}, expected {spec.sha256}; the download is discarded")
    except OSError as error:
        raise UserError(
            f"{spec.name}: cannot download {spec.url}: {error}; fetch it elsewhere and --set {spec.setting}=FILE"
        ) from error
    _sidecar(place).write_text(found + "\n", "utf-8")
    return place


def _file(path: Path) -> Weights:
    found = sha256(path)
    note = _sidecar(path)
    if note.is_file() and note.read_text("utf-8").strip() != found:
        raise UserError(
            f"{path}: the file has changed since it was fetched (sha256 {found}); delete and fetch it again"
        )
    return Weights(path, found)


def _place(spec: WeightSpec) -> Path:
    if spec.shipped:
        package, _, name = spec.shipped.partition(":")
        return Path(str(files(package))) / name
    return cache_folder() / "weights" / f"{spec.name}{Path(spec.url).suffix or '.bin'}"


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")
