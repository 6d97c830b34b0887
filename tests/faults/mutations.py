"""Media files damaged at random: flipped bits, cut ends, overwritten and repeated blocks, headers that lie."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

LIES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 2**64 - 1)
# What stands before fields of a header, by container; fields lie within the bytes behind it.
MARKS: Mapping[str, tuple[tuple[bytes, ...], int]] = {
    "mp4": ((b"mvhd", b"mdhd", b"tkhd", b"stts", b"stsc", b"stsz", b"stco", b"ctts", b"elst", b"stsd", b"avc1"), 40),
    "matroska": ((b"\x2a\xd7\xb1", b"\x44\x89", b"\xb0", b"\xba", b"\xb5", b"\x9f", b"\x1f\x43\xb6\x75", b"\xe7"), 9),
    "avi": ((b"avih", b"strh", b"strf", b"idx1", b"LIST", b"RIFF"), 60),
    "mpegts": ((b"\x47\x40", b"\x47\x41", b"\x47\x01", b"\x00\x00\x01\xe0", b"\x00\x00\x01\xc0"), 20),
    "wav": ((b"RIFF", b"fmt ", b"data"), 24),
    "mp3": ((b"\xff\xfb", b"\xff\xf3", b"Xing", b"Info", b"ID3"), 12),
}
MARKS = {**MARKS, "webm": MARKS["matroska"]}
Damage = Callable[[bytearray, random.Random, str], None]


def flip(data: bytearray, chance: random.Random, container: str) -> None:
    """Flip 1 to 64 bits anywhere."""
    for _ in range(2 ** chance.randrange(7)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def flip_head(data: bytearray, chance: random.Random, container: str) -> None:
    """Flip 1 to 8 bits of the first or the last 600 bytes."""
    for _ in range(2 ** chance.randrange(4)):
        place = chance.randrange(min(600, len(data)))
        data[chance.choice((place, -1 - place))] ^= 1 << chance.randrange(8)


def cut(data: bytearray, chance: random.Random, container: str) -> None:
    """Cut the end off, or now and then the beginning."""
    place = chance.randrange(len(data))
    del data[slice(0, place // 8) if chance.random() < 0.2 else slice(place, None)]


def overwrite(data: bytearray, chance: random.Random, container: str) -> None:
    """Overwrite a block with zeros, ones or noise."""
    place, size = chance.randrange(len(data)), 1 + chance.randrange(max(2, len(data) // 4))
    block = data[place : place + size]
    data[place : place + size] = chance.choice((bytes(len(block)), b"\xff" * len(block), chance.randbytes(len(block))))


def repeat(data: bytearray, chance: random.Random, container: str) -> None:
    """Repeat a block, or take it out."""
    place, size = chance.randrange(len(data)), 1 + chance.randrange(max(2, len(data) // 4))
    data[place : place + size] = data[place : place + size] * chance.choice((0, 2, 3))


def lie(data: bytearray, chance: random.Random, container: str) -> None:
    """Write extreme numbers into one or two fields of a header."""
    marks, reach = MARKS[container]
    found = [at for mark in marks if (at := data.find(mark)) >= 0] or [0]
    for _ in range(chance.choice((1, 1, 2))):
        at, size = chance.choice(found) + chance.randrange(reach), chance.choice((1, 2, 4, 8))
        value = chance.choice(LIES) & (256**size - 1)
        data[at : at + size] = value.to_bytes(size, "little" if container in ("avi", "wav") else "big")


KINDS: tuple[Damage, ...] = (flip, flip_head, cut, overwrite, repeat, lie, lie)


def mutated(data: bytes, container: str, number: int) -> bytes:
    """Return a file damaged in a way that its number decides."""
    chance, changed = random.Random(f"{container} {number}"), bytearray(data)
    KINDS[number % len(KINDS)](changed, chance, container)
    return bytes(changed)
