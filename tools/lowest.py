"""Prints the lowest version that pyproject.toml allows of each requirement, as constraints for pip.

python tools/lowest.py torch==2.13.0 > lowest.txt; what is named is taken as it stands.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from packaging.requirements import Requirement

EXTRAS = ("sslas", "cluster", "test")


def lowest(requirements: Iterable[str], kept: Iterable[str]) -> Iterator[str]:
    """Yield name==version for each requirement with a lower bound, but for those that `kept` names."""
    found = {requirement.name: str(requirement) for requirement in map(Requirement, kept)}
    for requirement in map(Requirement, requirements):
        for bound in requirement.specifier:
            if bound.operator in (">=", "=="):
                found.setdefault(requirement.name, f"{requirement.name}=={bound.version}")
    yield from found.values()


if __name__ == "__main__":
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"], *(one for extra in EXTRAS for one in project["optional-dependencies"][extra])]
    print("\n".join(lowest(wanted, sys.argv[1:])))
