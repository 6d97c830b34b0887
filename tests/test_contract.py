"""The contract of metrics, perturbations and protocols: what ships keeps it, each way of breaking it is found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from avbench.bench.contract import Result, check_metric, check_perturbation, check_protocol
from avbench.plugins.registry import installed
from avbench.types import Context, MetricSpec, PerturbationSpec, Protocol

HERE = __name__
CALLS: list[int] = []


def broken(results: Iterator[Result]) -> dict[str, str]:
    """Return the broken promises and what is said of them."""
    found = list(results)
    assert len(found) >= 2
    return {result.promise: result.detail for result in found if not result.kept}


@pytest.mark.parametrize("name", sorted(installed().metrics()))
def test_the_metrics_that_ship_keep_it(name: str) -> None:
    assert broken(check_metric(installed().metrics()[name])) == {}


@pytest.mark.parametrize("name", ["gaussian_noise", "contrast", "white_noise", "desync", "low_pass"])
def test_perturbations_that_ship_keep_it(name: str) -> None:
    known = installed().perturbations()
    assert broken(check_perturbation(known[name], known)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(installed().perturbations()))
def test_all_perturbations_that_ship_keep_it(name: str) -> None:
    known = installed().perturbations()
    assert broken(check_perturbation(known[name], known)) == {}


def test_the_protocols_there_are_keep_it() -> None:
    plugins = installed()
    for protocol in plugins.protocols().values():
        assert broken(check_protocol(protocol, plugins.datasets(), plugins.perturbations())) == {}


# ---- metrics that break it -------------------------------------------------------------------------------------


def share_called(table: pd.DataFrame) -> float:
    """Return the share of fakes that are called; nan without a fake."""
    fakes = table[table["forgery"] > 0]
    return float((fakes["score"] > 0.5).mean()) if len(fakes) else float("nan")


def divides(table: pd.DataFrame) -> float:
    """Divide whatever there is."""
    return 1 / int((table["forgery"] > 0).sum())


def infinite(table: pd.DataFrame) -> float:
    """Return infinity where a class is missing."""
    return 1.0 if (table["forgery"] == 0).any() else float("inf")


def marks(table: pd.DataFrame) -> float:
    """Write into the table that it is given."""
    table["called"] = table["score"] > 0.5
    return float(table["called"].mean())


def moody(table: pd.DataFrame) -> float:
    """Give something else each time."""
    CALLS.append(1)
    return float(len(CALLS))


def first_row(table: pd.DataFrame) -> float:
    """Look at the first row alone."""
    return float(table["score"].iloc[0]) if len(table) else float("nan")


def misses(table: pd.DataFrame) -> float:
    """Return what is better when it is lower."""
    return 1 - share_called(table)


def by_id(table: pd.DataFrame) -> float:
    """Fail where a video is there twice."""
    if table["id"].duplicated().any():
        raise ValueError("a video twice")
    return share_called(table)


NO_NUMBER = "just a text"


@pytest.mark.parametrize(
    ("name", "promise", "what"),
    [
        ("divides", "binary: gives a number or nan whatever is missing", "of RARV alone: ZeroDivisionError"),
        ("infinite", "binary: gives a number or nan whatever is missing", "without RARV: inf"),
        ("marks", "binary: is a pure function", "work on a copy"),
        ("moody", "binary: is a pure function", "of the same table"),
        ("first_row", "binary: does not depend on the order of rows", "in another order"),
        ("misses", "binary: better scores are not worse", "higher_is_better=True"),
        ("by_id", "binary: takes videos that are drawn twice", "a video twice"),
        ("nowhere", "is a function of a table", "nowhere"),
        ("NO_NUMBER", "is a function of a table", "not a function"),
    ],
)
def test_a_metric_that_breaks_it(name: str, promise: str, what: str) -> None:
    assert what in broken(check_metric(MetricSpec(name, name, f"{HERE}:{name}", ("binary",))))[promise]


def test_a_metric_that_keeps_it_in_both_tasks() -> None:
    assert broken(check_metric(MetricSpec("share", "Share", f"{HERE}:share_called"))) == {}


# ---- perturbations that break it -------------------------------------------------------------------------------


def darken(picture: np.ndarray, parameter: float, context: Context) -> np.ndarray:
    """Darken a picture."""
    return (picture * parameter).astype(np.uint8)


def as_floats(picture: np.ndarray, parameter: float, context: Context) -> np.ndarray:
    """Return another type."""
    return picture * parameter


def smaller(picture: np.ndarray, parameter: float, context: Context) -> np.ndarray:
    """Return another shape."""
    return np.ascontiguousarray(picture[::2])


def in_place(picture: np.ndarray, parameter: float, context: Context) -> np.ndarray:
    """Change the picture that is given."""
    picture[:8] = round(255 * parameter)
    return picture.copy()


def global_noise(picture: np.ndarray, parameter: float, context: Context) -> np.ndarray:
    """Draw from a generator of its own."""
    return np.random.default_rng().integers(0, 256, picture.shape, dtype=np.uint8)


class Remembering:
    """Blend each picture with the one before it."""

    last: Any = None

    def __call__(self, picture: np.ndarray, parameter: float, context: Context) -> np.ndarray:
        before, self.last = self.last if self.last is not None else picture, picture
        return (picture * 0.5 * parameter + before * 0.5 * parameter).astype(np.uint8)


remembering = Remembering()


def nothing(picture: np.ndarray, parameter: float, context: Context) -> np.ndarray:
    """Change nothing."""
    return picture.copy()


def silent(sound: np.ndarray, parameter: float, context: Context) -> np.ndarray:
    """Divide by nothing."""
    with np.errstate(all="ignore"):
        return (sound / np.float32(0)).astype(np.float32)


DARK = (0.9, 0.8, 0.7, 0.6, 0.5)


@pytest.mark.parametrize(
    ("changes", "promise", "what"),
    [
        ({"load": f"{HERE}:as_floats"}, "video: keeps shape, type and times", "must return uint8"),
        ({"load": f"{HERE}:smaller"}, "video: keeps shape, type and times", "must return uint8 (288, 352, 3)"),
        ({"load": f"{HERE}:in_place"}, "video: leaves what it is given as it is", "in place"),
        ({"load": f"{HERE}:global_noise"}, "video: depends on video, type, level and frame alone", "context.random"),
        ({"load": f"{HERE}:remembering"}, "video: depends on video, type, level and frame alone", "before it"),
        ({"load": f"{HERE}:nothing"}, "video: changes something at each level", "level 1 changes nothing"),
        ({"levels": DARK[::-1]}, "video: changes more at level 5 than at level 1", "changes less"),
        ({"levels": (0.9, 0.8, 0.9, 0.6, 0.5)}, "its levels go one way", "neither rise nor fall"),
        ({"levels": DARK[:4]}, "has level 0, which changes nothing, and five more", "five numbers"),
        ({"load": f"{HERE}:silent", "stream": "audio"}, "audio: keeps shape, type and times", "not finite"),
        ({"stream": "both"}, "has level 0, which changes nothing, and five more", "load_sound"),
        ({"encoders": ("no_such_codec",)}, "has level 0, which changes nothing, and five more", "no_such_codec"),
    ],
)
def test_a_perturbation_that_breaks_it(changes: dict[str, Any], promise: str, what: str) -> None:
    spec = replace(PerturbationSpec("dark", "Darkening", f"{HERE}:darken", "video", DARK), **changes)
    assert what in broken(check_perturbation(spec, {"dark": spec}))[promise]


# ---- protocols that break it -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "promise", "what"),
    [
        ({"version": 0}, "its values are valid", "below 1"),
        ({"test": "lavd"}, "its datasets are there", "did you mean 'lavdf'"),
        ({"perturbations": ("jpg",), "levels": (0, 1)}, "its perturbations are there", "did you mean 'jpeg'"),
        ({"fold": True}, "its values are valid", "not a whole number"),
    ],
)
def test_a_protocol_that_breaks_it(changes: dict[str, Any], promise: str, what: str) -> None:
    protocol = replace(Protocol("mine", 1, "lavdf", "fakeav"), **changes)
    plugins = installed()
    assert what in broken(check_protocol(protocol, plugins.datasets(), plugins.perturbations()))[promise]
