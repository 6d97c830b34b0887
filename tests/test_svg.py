"""Drawings made small: the same lines and words in fewer bytes, and inside a page the very same drawing."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import jinja2
import numpy as np
import pytest

from avbench.records.page import inlined, render
from avbench.records.style import saved_figure
from avbench.records.svg import compact


def path_of(drawing: str) -> str:
    (path,) = re.findall(r' d="([^"]*)"', compact(f'<svg><path d="{drawing}"/></svg>'))
    return str(path)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("M 0 0 \nL 10 0 \nL 20 0.004 \nL 20 5.126 \nL 20.5 5 \nz\n", "M0 0h20v5.13l0.5-0.13z"),
        ("M 1 1 \nL 1 1 \nM 2 3.5 \nL 2 -3.5", "M1 1h0M2 3.5v-7"),
        ("M 0 0 \nL 5 0 \nL 2 0", "M0 0h5h-3"),
        ("M 0 0.125 \nC 0.2652 1 2 2.00001 3 3 \nz", "M 0 0.12 C 0.27 1 2 2 3 3 z"),
    ],
)
def test_lines_become_steps_and_curves_are_rounded(path: str, said: str) -> None:
    assert path_of(path) == said


def test_rounded_steps_do_not_drift() -> None:
    x = np.arange(300) / 3
    y = 50 + 40 * np.sin(x)
    steps = re.findall(
        r"[Mlhv][^Mlhvz]*", path_of("M" + "L".join(f" {a:.6f} {b:.6f} \n" for a, b in zip(x, y, strict=True)))
    )
    here = np.zeros(2)
    for step, a, b in zip(steps, x, y, strict=True):
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", step)]
        here = here + (numbers if len(numbers) == 2 else [numbers[0], 0] if step[0] == "h" else [0, numbers[0]])
        assert np.abs(here - (a, b)).max() < 0.0051


def test_words_stay_ids_that_are_used_are_short_and_styles_are_said_once() -> None:
    text = '<text style="fill: #22303c" x="1.23456">0.123456 of "RARV"</text>'
    drawing = (
        f'<svg><defs><path id="mark"/></defs><style>*{{}}</style>{text * 2}<g id="a"><use href="#mark"/></g></svg>'
    )
    small = compact(drawing)
    assert small.count('<text class="s0" x="1.23">0.123456 of "RARV"</text>') == 2 and ".s0{fill:#22303c}" in small
    assert '<path id="i0"/>' in small and '<use href="#i0"/></svg>' in small and 'id="a"' not in small


def test_figures_hold_words_in_fonts_that_every_machine_has(tmp_path: Path) -> None:
    with saved_figure(tmp_path / "figure", (3, 2)) as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], label="AUC 93.1 <*>")
        axes.legend()
    drawn = (tmp_path / "figure.svg").read_text("utf-8")
    assert ">AUC 93.1 &lt;*&gt;<" in drawn and "sans-serif}" in drawn and "metadata" not in drawn
    assert len(drawn) < 6000


def test_a_drawing_comes_out_of_a_page_as_it_went_in(tmp_path: Path) -> None:
    drawing = "<svg title='50 % of &amp; #1'><text>a\u00b1b</text><script>alert(1)</script></svg>"
    (tmp_path / "a.svg").write_text(drawing, "utf-8")
    address = inlined(tmp_path / "a.svg")
    assert not re.search(r'[<>"&#]', address)
    assert unquote(address.removeprefix("data:image/svg+xml,")) == drawing


def test_a_template_that_lacks_a_value_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="name"):
        render("avbench.auditing", "audit.html.j2", demo=False)
