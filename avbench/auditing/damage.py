"""How much of a stream of pictures is damaged, as far as its packets tell without decoding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from av.packet import Packet

HOLE = 0.5  # seconds without a picture, beyond what the one before says it lasts
_UNITS = ("h264", "hevc")


class Damage:
    """Looks at the packets of a stream, one after another."""

    def __init__(self, stream: Any) -> None:
        extra = stream.codec_context.extradata or b""
        self._lengths = 0  # bytes of the length before each unit, where there are lengths and no start codes
        if stream.codec_context.codec.canonical_name in _UNITS and extra[:1] == b"\x01":
            at = 4 if stream.codec_context.codec.canonical_name == "h264" else 21
            self._lengths = (extra[at] & 3) + 1 if len(extra) > at else 0
        self._packets = self._damaged = 0
        self._shown: list[tuple[float, float]] = []

    def note(self, packet: Packet[Any]) -> None:
        """Look at a packet."""
        self._packets += 1
        self._damaged += packet.is_corrupt or not self._holds_together(bytes(packet))
        if packet.pts is not None and packet.time_base is not None:
            base = packet.time_base
            self._shown.append((float(packet.pts * base), float((packet.duration or 0) * base)))

    @property
    def share(self) -> float:
        """Return the share of packets that are damaged, or of the time in which there are none, whichever is more."""
        if not self._packets:
            return 0.0
        times, lasts = np.array(sorted(self._shown) or [(0.0, 0.0)]).T
        gaps = np.diff(times) - lasts[:-1]
        span = float(times[-1] - times[0])
        missing = float(gaps[gaps > HOLE].sum()) / span if span else 0.0
        return max(self._damaged / self._packets, missing)

    def _holds_together(self, data: bytes) -> bool:
        """Whether the units of a packet follow upon each other up to its end and none is empty."""
        at = 0
        while self._lengths and at < len(data):
            length = int.from_bytes(data[at : at + self._lengths])
            at += self._lengths + length
            if not length or at > len(data):
                return False
        return True
