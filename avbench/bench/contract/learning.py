"""Whether a detector learns: trained as anybody would train it, it tells test videos apart better than chance does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from avbench.bench import ensemble
from avbench.bench.contract.results import Result
from avbench.bench.run import run
from avbench.bench.spec import Computing, RunSpec
from avbench.config import Config, learned_label, resolve
from avbench.data.lists import Say
from avbench.errors import UserError
from avbench.metrics.definitions import collapsed_auc
from avbench.metrics.intervals import Interval, bootstrap
from avbench.metrics.pooling import pool
from avbench.own_line import PluginError, at_its_line
from avbench.plugins.registry import Plugins
from avbench.progress import Progress, silent
from avbench.records.run import Run
from avbench.types import DetectorSpec, Protocol

CHANCE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What a detector is to learn: protocols by name (default: within each database there are demo data of), seeds.

    `preset` (default: the one that `avbench run` takes) and `roots` are as in a RunSpec.
    """

    protocols: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    preset: str | None = None
    roots: Mapping[str, Path] = field(default_factory=dict)


def check_learning(
    spec: DetectorSpec,
    plugins: Plugins,
    lesson: Lesson,
    *,
    computing: Computing,
    progress: Progress = silent,
    say: Say = lambda line: None,
) -> Iterator[Result]:
    """Train a detector under each protocol with each seed and judge what it has learnt, see `judge`.

    Of an ensemble each member is judged, then the ensemble. Raises UserError for a name that is not known and for data
    that are not there.
    """
    asked = _asked(spec, plugins, lesson)
    for one in asked:
        detector = plugins.detector(one.detector)
        if not detector.members:
            resolve(detector, one.task, preset=one.preset)  # a typo is told before anything is trained
    for one in asked:
        who = "" if one.detector == spec.name else f"{one.detector}, "
        promise = f"{who}{one.task}: learns {one.protocol.name}, seed {one.seed}"
        try:
            done = run(one, plugins, computing=computing, progress=progress, say=say)
        except PluginError as error:  # another protocol may tell more
            yield Result(promise, False, str(error))
        except UserError:
            raise
        except Exception as error:
            yield Result(promise, False, at_its_line(error))
        else:
            yield judge(promise, done)


def judge(promise: str, done: Run) -> Result:
    """Return whether the AUC of a run's test videos, against the label that its detector learns, is above chance.

    That label is the forgery of its stream where the detector requires one stream alone. The lower end of the 95 %
    interval over clusters must be above one half; an AUC that is undefined or has no interval is not.
    """
    card = done.card
    config = Config(card.detector.name, "binary", card.detector.preset, requires=frozenset(card.detector.requires))
    headline = done.scores[done.scores["placement"] == card.protocol.placements[0]]
    videos = pool(headline, card.detector.pooling)
    videos = videos[videos["score"].notna()].reset_index(drop=True)
    videos["forgery"] = (learned_label(config, videos["forgery"].to_numpy(np.int64)) > 0).astype(np.int64)
    found = bootstrap(videos, {"auc": collapsed_auc}, seed=card.seed)["auc"]
    learnt = bool(found.low > CHANCE)  # nan is not
    verdict = "" if learnt else "no better than chance: " if np.isfinite(found.low) else "cannot be told: "
    streams = "".join(f"{stream}, " for stream in card.detector.requires if len(card.detector.requires) == 1)
    data = "demo data" if card.is_demo else "test data"
    return Result(
        promise,
        learnt,
        f"{verdict}{_shown(found)} on {len(videos)} videos of {data} in {found.clusters} clusters, label of the "
        f"{streams.removesuffix(', ') or 'clip'}, preset {card.detector.preset}",
    )


def _asked(spec: DetectorSpec, plugins: Plugins, lesson: Lesson) -> list[RunSpec]:
    """Return the runs, an ensemble's members before it; UserError for protocols and members that are not there."""
    if spec.members:
        ensemble.require_members(spec, plugins.detectors())
    names = lesson.protocols or tuple(
        dict.fromkeys(f"within_{name}" for dataset in plugins.datasets().values() for name in dataset.stands_in_for)
    )
    if not names:
        raise UserError("there are no demo data to learn from; name a protocol with --protocol, and its --data")
    own = [
        RunSpec(
            detector=spec.name,
            protocol=_headline(plugins.protocol(name)),
            task="binary" if "binary" in spec.tasks else spec.tasks[0],
            seed=seed,
            roots=lesson.roots,
            preset=lesson.preset,
        )
        for name in dict.fromkeys(names)
        for seed in dict.fromkeys(lesson.seeds)
    ]
    return [part for whole in own for part in [*ensemble.members_of(whole, plugins), whole]]


def _headline(protocol: Protocol) -> Protocol:
    """Return the protocol with the clips of its headline alone: nothing else is judged."""
    return replace(protocol, placements=protocol.placements[:1] or ("oracle",))


def _shown(auc: Interval) -> str:
    """Return an AUC in percent with its interval, as tables print it."""
    if np.isnan(auc.value):
        return "AUC undefined, one class alone"
    interval = f"[{100 * auc.low:.1f}, {100 * auc.high:.1f}]" if np.isfinite(auc.low) else "without an interval"
    return f"AUC {100 * auc.value:.1f} {interval}"
