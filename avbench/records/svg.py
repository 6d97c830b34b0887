"""Makes a drawing of matplotlib's small: the same picture and words in a fraction of the bytes."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

FONTS = "'DejaVu Sans',Verdana,'Bitstream Vera Sans',sans-serif"  # of nearly the same widths, where one is missing
DECIMALS = 2  # of a point
_RULES = f"*{{stroke-linejoin:round;stroke-linecap:butt}}text{{font-family:{FONTS}}}"
_TAG = re.compile(r"<[^>]*>")
_POSITION = re.compile(r' (x|y|d|width|height|transform)="([^"]*)"')
_NUMBER = re.compile(r"-?\d+\.\d+(?:e[+-]?\d+)?")
_COMMAND = re.compile(r"([A-Za-z])([^A-Za-z]*)")
_BARE_GROUP = re.compile(r"<g>((?:(?!</?g\b).)*)</g>", re.DOTALL)
_REMOVED = (
    re.compile(r"^.*?(?=<svg)", re.DOTALL),  # prologue and document type
    re.compile(r"<!--.*?-->", re.DOTALL),
    re.compile(r"<metadata>.*?</metadata>", re.DOTALL),
    re.compile(r" font-family: 'DejaVu Sans';"),  # said once, in the rules
    re.compile(r' transform="rotate\(-?0 [^)]*\)"'),
    re.compile(r"(?<=>)\s*\n\s*(?=<)"),
)


def compact(drawing: str) -> str:
    """Return matplotlib's SVG without what no viewer needs: space, metadata, unused ids, repeated styles.

    Positions are rounded to a hundredth of a point and paths of lines written as steps; words stay as they are.
    """
    for pattern in _REMOVED:
        drawing = pattern.sub("", drawing)
    drawing = _with_short_ids(drawing)
    while (unwrapped := _BARE_GROUP.sub(r"\1", drawing)) != drawing:
        drawing = unwrapped
    drawing = _TAG.sub(lambda tag: _POSITION.sub(_rounded, tag[0]), drawing)
    return _with_classes(drawing)


def _with_short_ids(drawing: str) -> str:
    """Number the ids that something refers to, and drop the others."""
    used = dict.fromkeys(re.findall(r'(?:="|url\()#([^")]+)', drawing))
    names = {name: f"i{number}" for number, name in enumerate(used)}
    drawing = re.sub(r' id="([^"]*)"', lambda one: f' id="{names[one[1]]}"' if one[1] in names else "", drawing)
    return re.sub(r'((?:="|url\()#)([^")]+)', lambda one: one[1] + names[one[2]], drawing)


def _with_classes(drawing: str) -> str:
    """Say a style that several elements have once."""
    counts = Counter(re.findall(r' style="([^"]*)"', drawing))
    names = {style: f"s{number}" for number, style in enumerate(style for style, n in counts.items() if n > 1)}
    rules = _RULES + "".join(f".{name}{{{re.sub(r'(?<=[:;]) ', '', style)}}}" for style, name in names.items())
    for style, name in names.items():
        drawing = drawing.replace(f' style="{style}"', f' class="{name}"')
    return re.sub(r"<style.*?</style>", lambda found: f"<style>{rules}</style>", drawing, count=1, flags=re.DOTALL)


def _rounded(found: re.Match[str]) -> str:
    name, value = found.groups()
    if name == "d" and not re.search(r"[^MLz\s\d.e+-]|z\s*L", value):
        return f' d="{_as_steps(value)}"'
    return f' {name}="{_NUMBER.sub(lambda number: _short(float(number[0])), " ".join(value.split()))}"'


def _as_steps(path: str) -> str:
    """Return a path of straight lines as steps between its rounded points."""
    return "".join(_part(points, end) for points, end in re.findall(r"M([^Mz]*)(z?)", path))


def _part(text: str, end: str) -> str:
    """Write one connected part; steps on in one direction are one. One without length stays: a dot."""
    points = [tuple(round(float(number) * 10**DECIMALS) for number in point.split()) for point in text.split("L")]
    steps = [(x - before_x, y - before_y) for (before_x, before_y), (x, y) in pairwise(points)]
    joined: list[tuple[int, int]] = []
    for across, down in steps:
        if joined and _goes_on(joined[-1], (across, down)):
            across, down = joined[-1][0] + across, joined.pop()[1] + down
        joined.append((across, down))
    x, y = points[0]
    return f"M{_pair(x, y)}{''.join(_step(*step) for step in joined) or 'h0' * bool(steps)}{end}"


def _goes_on(before: tuple[int, int], step: tuple[int, int]) -> bool:
    (a, b), (c, d) = before, step
    return (a == c == 0 and b * d >= 0) or (b == d == 0 and a * c >= 0)


def _step(across: int, down: int) -> str:
    if across and down:
        return f"l{_pair(across, down)}"
    return f"h{_hundredths(across)}" if across else f"v{_hundredths(down)}" if down else ""


def _pair(x: int, y: int) -> str:
    return f"{_hundredths(x)} {_hundredths(y)}".replace(" -", "-")


def _hundredths(number: int) -> str:
    return _short(number / 10**DECIMALS)


def _short(number: float) -> str:
    text = f"{number:.{DECIMALS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
