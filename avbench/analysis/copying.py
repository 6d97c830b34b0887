"""Copies a stream's packets into another file, as they are but on the clock of the pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import av

from avbench.media import reading as media
from avbench.media.decoding import WITHOUT_TIMES, reopened


def is_timed(path: Path, stream: Any) -> bool:
    """Whether every packet of a stream of pictures says when it is shown, so that it can be copied."""
    with media.open_file(path) as container:
        if container.format.name in WITHOUT_TIMES and stream.codec_context.has_b_frames:
            return False
        try:
            times = [packet.pts for packet in container.demux(container.streams[stream.index]) if packet.size]
        except av.FFmpegError:
            return False
    return None not in times and len(set(times)) == len(times)


def copier(source: Any, stream: Any, file: Any, zero: float) -> Callable[[], None]:
    """Add a stream to a file; return what copies its packets there, timed from `zero` on (seconds)."""
    out = file.add_stream_from_template(stream)

    def write() -> None:
        with reopened(source) as again:
            packets = (packet for packet in again.demux(again.streams[stream.index]) if packet.size)
            for packet in _with_order(packets):
                shift = round(zero / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, out
                file.mux(packet)

    return write


def _with_order(packets: Iterable[Any]) -> Iterator[Any]:
    """Yield packets, giving the first ones a time of decoding where they have none, as in Matroska with B frames."""
    waiting, packets = [], iter(packets)
    for packet in packets:
        waiting.append(packet)
        if packet.dts is not None:
            break
    if not waiting:
        return
    first = waiting[-1].dts
    if first is None:  # none says so
        first = min(packet.pts for packet in waiting)
    for back, packet in enumerate(reversed(waiting)):
        packet.dts = first - back * (packet.duration or 1)
        packet.pts = packet.dts if packet.pts is None else packet.pts
    yield from chain(waiting, packets)
