"""Decodes every file of a database to its end, in worker processes, and tells which cannot be or are damaged."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import av

from avbench.data.file_cache import Measured
from avbench.data.file_times import FileTimes
from avbench.data.scanning import REASON, scan_files
from avbench.data.workers import begin_file
from avbench.media.frames import picture_stream
from avbench.media.reading import open_file, read_info
from avbench.media.sound import sound_stream
from avbench.progress import Progress, silent
from avbench.types import Finding, Forgery, MediaError, Reason, Sample

KIND = "decoded-2"
SHOWN = 5
FILE_SECONDS = 300.0  # see FileTimes


def check_by_decoding(
    samples: Sequence[Sample], *, workers: int | None = None, progress: Progress = silent
) -> Iterator[Finding]:
    """Yield each file that cannot be decoded, is damaged, or lacks a stream that its label says is forged."""
    files = [sample for sample in samples if not sample.path.is_dir()]  # which a plugin may decode
    found = scan_files((s.path for s in files), decode, KIND, workers=workers, progress=progress, title="decode files")
    for sample in files:
        about = found[sample.path]
        if REASON in about:
            yield Finding("error", sample.id, f"{about[REASON]}: {about.get('error', 'cannot be decoded')}")
        elif what := _odd(sample, about):
            yield Finding("warning", sample.id, what)
    yield Finding("note", "all", f"{len(files):,} files decoded")


def decode(path: Path) -> Measured:
    """Return how many frames of pictures and sound a file holds, None without the stream, and damaged packets.

    Raises MediaError: `missing_file`, `unreadable`, also where nothing can be decoded.
    """
    if path.exists() and not path.is_file():
        raise MediaError(Reason.UNREADABLE, f"{path}: not an ordinary file")
    with open_file(path) as container:
        chosen = {"pictures": picture_stream(container), "sound": sound_stream(container)}
        counts = dict.fromkeys(chosen, 0)
        if not any(chosen.values()):
            raise MediaError(Reason.UNREADABLE, f"{path}: neither pictures nor sound that can be decoded")
        damaged, started = 0, time.monotonic()
        allowed = FileTimes.after_probing(FILE_SECONDS, {path: read_info(container)}).allowed(path)
        packets = container.demux([stream for stream in chosen.values() if stream is not None])
        while True:
            try:
                packet = next(packets, None)
            except MemoryError:
                raise
            except av.FFmpegError:  # the file is cut off here
                damaged += 1
                break
            if packet is None:
                break
            begin_file()  # however long the film is
            if time.monotonic() - started > allowed:
                raise MediaError(Reason.DECODER_TIMEOUT, f"{path}: to decode it took more than {allowed:.0f} s")
            try:
                for frame in packet.decode():  # by kind: the packets that end a stream name none
                    counts["pictures" if isinstance(frame, av.VideoFrame) else "sound"] += 1
            except MemoryError:
                raise
            except av.FFmpegError:
                damaged += 1
    if not any(counts.values()):
        raise MediaError(Reason.UNREADABLE, f"{path}: nothing of it can be decoded")
    return {name: None if one is None else counts[name] for name, one in chosen.items()} | {"damaged": damaged}


def _odd(sample: Sample, about: Measured) -> str:
    forged = {"pictures": sample.forgery.video_fake, "sound": sample.forgery.audio_fake}
    for name, is_forged in forged.items():
        if about[name] == 0:
            return f"has {name}, none of which can be decoded"
        if about[name] is None and is_forged and sample.forgery is not Forgery.FAFV:
            return f"has no {name}, though they are said to be fake"
    return f"{about['damaged']} damaged packets" if about["damaged"] else ""
