"""Draws docs/images/wings.svg from the layers in pyproject.toml and the first sentence of each wing.

python docs/make/wings.py
"""

from __future__ import annotations

import ast
import re
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "images" / "wings.svg"
WIDTH, ROW, GAP, EDGE, TITLE = 920, 48, 8, 12, 24
LINE = 18  # between the lines of a box
PER_PIXEL = 1 / 6.2  # characters of the small type
COLOURS = {
    "readers": ("#eef0fb", "#6f63c1"),
    "work": ("#e8f4f2", "#1b8a7a"),
    "ground": ("#f3f1ec", "#8a7a5f"),
}


def layers() -> list[list[str]]:
    """Return the rows of import-linter's layers, upper first, as names below `avbench`."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    contract = next(c for c in contracts if c["type"] == "layers" and "avbench.cli" in c["layers"])  # not the plugins'
    return [[part.strip().removeprefix("avbench.") for part in re.split(r"[|:]", row)] for row in contract["layers"]]


def about(name: str) -> str:
    """Return the first sentence of a wing's or a module's docstring, without its full stop."""
    folder = ROOT / "avbench" / name
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return " ".join(re.split(r"\.(?:\s|$)|\n\n", text)[0].split())


def drawn() -> str:
    """Return the picture: a row a layer, side by side what may not import each other, the ground at the bottom."""
    rows = layers()
    readers = next(number for number, names in enumerate(rows) if "report" in names)
    shapes, top = [], EDGE + TITLE
    for number, names in enumerate(rows):
        ground = number == len(rows) - 1
        kind = "ground" if ground else "readers" if number <= readers else "work"
        if ground:
            listed = _wrapped(" · ".join(sorted(names)), WIDTH - 2 * EDGE - 24)
            height = ROW + LINE * (len(listed) - 1)
            shapes.append(_box(EDGE, top, WIDTH - 2 * EDGE, height, kind, "ground and doors", listed))
        else:
            width = (WIDTH - 2 * EDGE - GAP * (len(names) - 1)) / len(names)
            told = [_wrapped(about(name), width - 24) for name in names]
            height = ROW + LINE * (max(map(len, told)) - 1)
            for place, (name, lines) in enumerate(zip(names, told, strict=True)):
                shapes.append(_box(EDGE + place * (width + GAP), top, width, height, kind, f"avbench.{name}", lines))
        top += height + GAP
    heading = "upper wings may import lower ones, never the reverse; detectors and datasets stand outside, on the doors"
    body = "\n".join(shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + EDGE - GAP}" role="img" '
        f'font-family="DejaVu Sans, Verdana, sans-serif">\n<title>The wings of avbench</title>\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n'
        f'<text x="{EDGE}" y="{EDGE + 10}" font-size="12" fill="#5f6d79">{escape(heading)}</text>\n{body}\n</svg>\n'
    )


def _box(left: float, top: float, width: float, height: float, kind: str, name: str, lines: list[str]) -> str:
    fill, ink = COLOURS[kind]
    told = "".join(
        f'<text x="{left + 12:g}" y="{top + 37 + LINE * i:g}" font-size="12" fill="#22303c">{escape(line)}</text>'
        for i, line in enumerate(lines)
    )
    return (
        f'<rect x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" rx="6" fill="{fill}" stroke="{ink}"/>'
        f'<text x="{left + 12:g}" y="{top + 19:g}" font-size="13" font-weight="bold" fill="{ink}">{name}</text>{told}'
    )


def _wrapped(text: str, width: float) -> list[str]:
    """Break a text into lines that fit `width` pixels."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width * PER_PIXEL:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


if __name__ == "__main__":
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(drawn(), "utf-8")
