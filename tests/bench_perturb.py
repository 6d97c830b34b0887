"""What a sweep costs beside one evaluation for each condition: the ratio and its parts, measured in one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from avbench.bench.card import begin
from avbench.bench.resolving import resolve
from avbench.bench.run import finish
from avbench.bench.spec import RunSpec
from avbench.data.lists import prepare
from avbench.data.loading import LoadedBatch, Loading, load_batches
from avbench.data.placement import oracle
from avbench.data.requests import ClipRequest, under
from avbench.engine.building import build
from avbench.engine.devices import make_fabric
from avbench.engine.evaluation import evaluate, in_batches
from avbench.engine.sharing import outputs
from avbench.perturbations.conditions import Condition
from avbench.plugins.registry import installed
from avbench.protocol import known

VIDEOS = 16
LIMIT = 0.7
MEASURED = 3  # of the 31 evaluations, whose cards and figures stand for those of all: each takes as long


def _seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


@pytest.mark.filterwarnings("ignore")
def test_paper_sweep_of_the_demo_preset(benchmark: Any, demo_root: Path, tmp_path: Path) -> None:
    """Sweep all six types over six levels; then evaluate each of the 31 conditions by itself, to card and figures."""
    plugins, loading = installed(), Loading()
    protocol = known(plugins.datasets())["perturb_fakeav"]
    spec = RunSpec(detector="fauforensics", protocol=protocol, task="binary", preset="demo", limit_test=VIDEOS)
    lists = prepare(protocol, plugins, {"": demo_root}, limit_test=VIDEOS)
    resolved = resolve(spec, plugins, lists)
    test, config, conditions = lists.split.test, resolved.config, resolved.conditions
    detector, fabric = build(resolved.detector, config, 0), make_fabric("cpu")
    clips = oracle(test, config.clip, 0)
    spent = {"scoring": 0.0, "measuring": 0.0}

    def evaluated(name: str, asked: Sequence[Condition | None], ends_as: Sequence[Condition | None]) -> pd.DataFrame:
        card = begin(resolved, "", "")
        seconds, table = _seconds(
            lambda: evaluate(detector, under(clips, asked, test), tmp_path / name, fabric, loading)
        )
        spent["scoring"] += seconds
        if name.startswith("one-") and int(name.removeprefix("one-")) >= MEASURED:
            return table
        ordinary = table if any(ends_as) else table.assign(perturbation="", level=0)
        spent["measuring"] += _seconds(lambda: finish(card, ordinary, tmp_path / name, plugins, conditions=ends_as))[0]
        return table

    apart = pd.concat([evaluated(f"one-{number}", [c], [None]) for number, c in enumerate(conditions)])
    spent["measuring"] *= len(conditions) / MEASURED
    found = {f"31_evaluations_{name}_s": value for name, value in spent.items()}
    spent |= dict.fromkeys(spent, 0.0)
    table = benchmark.pedantic(lambda: evaluated("sweep", conditions, conditions), rounds=1)
    found |= {f"sweep_{name}_s": value for name, value in spent.items()}
    both = table.merge(apart, on=["id", "perturbation", "level"], validate="one_to_one")
    assert len(both) == 31 * len(test) and (both["score_x"] - both["score_y"]).abs().max() <= 1e-5
    found["ratio"] = (found["sweep_scoring_s"] + found["sweep_measuring_s"]) / (
        found["31_evaluations_scoring_s"] + found["31_evaluations_measuring_s"]
    )
    found["ratio_of_scoring"] = found["sweep_scoring_s"] / found["31_evaluations_scoring_s"]
    found |= _parts(detector, clips, conditions, test)
    benchmark.extra_info |= {"videos": len(test), **found}
    print({name: round(value, 3) for name, value in found.items()})
    assert found["ratio"] <= LIMIT


def _parts(detector: Any, clips: list[ClipRequest], conditions: Any, test: Any) -> dict[str, float]:
    """Return seconds of loading and of judging, each alone in this process: shared by the sweep, and one by one."""
    config = detector.config
    together, apart = under(clips, conditions, test), [under(clips, [c], test) for c in conditions]

    def loaded(requests: list[ClipRequest]) -> list[LoadedBatch]:
        batches = in_batches(requests, config.eval_batch)
        return list(load_batches(batches, config.clip, config.requires, workers=0))

    def judged(batches: list[LoadedBatch]) -> None:
        with torch.inference_mode():
            for batch in batches:
                outputs(detector, batch, torch.device("cpu"))

    load_s, shared = _seconds(lambda: loaded(together))
    apart_load_s, single = _seconds(lambda: [batch for requests in apart for batch in loaded(requests)])
    return {
        "loading_alone_s": load_s,
        "31_loadings_alone_s": apart_load_s,
        "judging_alone_s": _seconds(lambda: judged(shared))[0],
        "31_judgings_alone_s": _seconds(lambda: judged(single))[0],
    }
