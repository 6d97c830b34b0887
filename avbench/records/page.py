"""Self-contained HTML pages in the house style: tables that sort on a click, figures inside, nothing fetched."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from avbench.errors import in_one_line
from avbench.records.table import Table

log = logging.getLogger(__name__)
DENSE = 11  # columns, above which a table is set small to fit 1280 pixels
_PLAIN = " '=:/;,().-+{}*!@$[]?|"  # what may stand in a data address and in an attribute in double quotes


def render(wing: str, template: str, **values: Any) -> str:
    """Fill in a template of a wing's folder `templates`, which may extend page.html.j2 and import parts.html.j2.

    Everything that is filled in is escaped. Raises UndefinedError for a name without a value.
    """
    return _environment(wing).get_template(template).render(values)


@cache
def _environment(wing: str) -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(wing), PackageLoader("avbench.records")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"kinds": _kinds, "lines": _lines, "inlined": inlined}
    environment.globals["dense"] = DENSE
    return environment


def _kinds(table: Table) -> list[Markup]:
    """Return for each column what its cells say of themselves to the style sheet."""
    columns = zip(*table.rows, strict=True) if table.rows else [()] * len(table.head)
    number, other = Markup(' class="number"'), Markup()
    return [number if all(map(_is_number, column)) else other for column in columns]


def _is_number(cell: str) -> bool:
    """Whether a cell shows a measurement, a count or that there is none; such columns are set flush right."""
    return cell == "" or cell[0] in "0123456789-−+–"


def _lines(cell: str) -> Markup:
    return Markup("<br>").join(cell.split("\n"))


def inlined(path: Path) -> Markup:
    """Return an SVG as a data address, for an attribute in double quotes: a picture, whose scripts do not run."""
    try:
        drawing = path.read_text("utf-8", errors="replace")
    except OSError as error:  # one figure less
        log.warning("%s", in_one_line(error))
        drawing = ""
    return Markup("data:image/svg+xml," + quote(drawing.replace('"', "'"), safe=_PLAIN))
