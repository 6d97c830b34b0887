"""The spellings of a label that the field uses, and the class each means."""

from __future__ import annotations

from avbench.types import Forgery

REAL = ("real", "0", "bonafide", "genuine", "original", "authentic", "pristine")
FAKE = ("fake", "1", "spoof", "spoofed", "forged", "deepfake", "synthetic", "manipulated", "generated")
_BOTH = {  # as FakeAVCeleb names its folders
    "realvideorealaudio": Forgery.RARV,
    "fakevideorealaudio": Forgery.RAFV,
    "realvideofakeaudio": Forgery.FARV,
    "fakevideofakeaudio": Forgery.FAFV,
}
# By spelling without capitals, blanks, - and _.
LABELS = {name: Forgery.RARV for name in REAL} | {name: Forgery.FAFV for name in FAKE}
LABELS |= {forgery.name.lower(): forgery for forgery in Forgery} | _BOTH
KNOWN = f"{', '.join((*REAL, *FAKE))}, or one of {', '.join(f.name for f in Forgery)}"
_EITHER = {"true", "false", "yes", "no", "t", "f", "y", "n"}
_FAKE = {"1", "true", "yes", "t", "y", "fake"}
_NOT_FAKE = {"0", "false", "no", "f", "n", "real"}


def forgery_called(label: str) -> Forgery:
    """Return the class of a label; a ValueError says which there are."""
    known = LABELS.get(_plain(label))
    if known is not None:
        return known
    if _plain(label) in _EITHER:
        raise ValueError(f"label {label!r} may mean genuine or forged; write real or fake")
    raise ValueError(f"label {label[:80]!r} is none of {KNOWN}")


def is_label(name: str) -> bool:
    """Whether the name of a folder is a label."""
    return _plain(name) in LABELS


def is_vague(label: str) -> bool:
    """Whether a label says that something is forged, but not which stream."""
    return _plain(label) in FAKE


def is_fake(flag: str) -> bool:
    """Return what a cell of video_fake or audio_fake says; ValueError for a spelling that says nothing."""
    spelled = _plain(flag)
    if spelled not in _FAKE | _NOT_FAKE:
        raise ValueError(f"{flag[:80]!r} says neither")
    return spelled in _FAKE


def _plain(label: str) -> str:
    spelled = "".join(letter for letter in label.strip().lower() if letter not in " -_")
    return spelled[:1] if spelled in {"0.0", "1.0"} else spelled
