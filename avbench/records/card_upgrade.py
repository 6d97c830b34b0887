"""Cards of format 1, in the words of today: caveats were marks, oracle and sliding placement labelled and sweep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from avbench.records.caveats import Caveat
from avbench.types import FORMER_PLACEMENTS
from avbench.types.former import FORMER_CLIP_FIELDS

_BY_PLACEMENT = ("metrics", "confusion", "ceilings", "blind")


def from_format_1(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a card of format 1 in format 2; what is missing stays missing."""
    new = {k: v for k, v in card.items() if k not in ("marks", "asked")}
    caveats = card.get("marks") or []
    measured = {Caveat.FEW_CLUSTERS}  # of the cards that name no variant, nothing else was measured
    new["caveats"], new["variant"] = caveats, card.get("variant", [c for c in caveats if c not in measured])
    if card.get("asked") is not None:
        new["request"] = card["asked"]
    for part in _BY_PLACEMENT:
        if part in card:
            new[part] = _placements(card[part])
    if "protocol" in card:
        placements = [FORMER_PLACEMENTS.get(name, name) for name in card["protocol"].get("placements", ())]
        new["protocol"] = {**card["protocol"], "placements": placements}
    if card.get("counts"):
        new["counts"] = {**card["counts"], "clips": _placements(card["counts"].get("clips", {}))}
    else:
        new.pop("counts", None)
    if "training" in card:
        new["training"] = training(card["training"])
    if card.get("perturbations"):
        new["perturbations"] = _robustness(card["perturbations"])
    return new


def training(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a training left behind (its training.json too) as the values of a card's training."""
    measured = {k.removeprefix("validation_"): v for k, v in record.items() if k.startswith("validation_")}
    new = {k: v for k, v in record.items() if not k.startswith("validation_")} | {"validation": measured}
    if "config" in record:
        new["config"] = _config(record["config"])
    if isinstance(about := record.get("trained_on"), Mapping):
        new["trained_on"] = _renamed(about, {"edition": "data_version"})
    return new


def _config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with its clip, and that of each member of an ensemble, in the words of today."""
    new = {k: _config(v) if k.startswith("member ") else v for k, v in config.items()}
    if isinstance(clip := config.get("clip"), Mapping):
        new["clip"] = _renamed(clip, FORMER_CLIP_FIELDS)
    return new


def _robustness(part: Mapping[str, Any]) -> dict[str, Any]:
    types = {
        name: {**one, "levels": {level: _level(found) for level, found in one["levels"].items()}}
        for name, one in part["types"].items()
    }
    placement = part.get("placement", "oracle")
    return {**part, "placement": FORMER_PLACEMENTS.get(placement, placement), "types": types}


def _level(found: Mapping[str, Any]) -> dict[str, Any]:
    about = ("parameter", "strength", "drop")
    metrics = {k: v for k, v in found.items() if k not in about}
    return {k: found[k] for k in about if k in found} | {"metrics": metrics}


def _placements(part: Mapping[str, Any]) -> dict[str, Any]:
    return _renamed(part, FORMER_PLACEMENTS)


def _renamed(part: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(k, k): v for k, v in part.items()}
