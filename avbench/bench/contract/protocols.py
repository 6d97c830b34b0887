"""What a protocol promises: valid values, data and perturbations that are there, a digest that its values make."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from avbench.bench.contract.results import Result, judged
from avbench.errors import unknown
from avbench.perturbations.conditions import choose
from avbench.protocol import complaint, from_values
from avbench.types import DatasetSpec, PerturbationSpec, Protocol


def check_protocol(
    protocol: Protocol, datasets: Mapping[str, DatasetSpec], perturbations: Mapping[str, PerturbationSpec]
) -> Iterator[Result]:
    """Check a protocol against the datasets and perturbations that there are."""
    yield judged("its values are valid", lambda: complaint(protocol))
    yield judged("its datasets are there", lambda: _missing(protocol, datasets))
    yield judged("its perturbations are there", lambda: _unperturbed(protocol, perturbations))
    yield judged("its digest is made of its values", lambda: _unstable(protocol))


def _missing(protocol: Protocol, datasets: Mapping[str, DatasetSpec]) -> str:
    labelled = [name for name, spec in datasets.items() if spec.forgery_labels]
    wrong = [
        str(unknown("dataset", name, labelled)) for name in (protocol.train, protocol.test) if name not in labelled
    ]
    return wrong[0] if wrong else ""


def _unperturbed(protocol: Protocol, perturbations: Mapping[str, PerturbationSpec]) -> str:
    choose(protocol.perturbations, protocol.levels, perturbations)
    return ""


def _unstable(protocol: Protocol) -> str:
    """Read the protocol as a card keeps it, and compare."""
    again = from_values(json.loads(json.dumps(protocol.as_dict())))
    return "" if again.digest() == protocol.digest() else "a card of it would be of another protocol"
