"""A finished run, opened again: its card, its test list, its detector with the weights it was judged with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from avbench.bench.resolving import ResolvedRun, lists_of, resolve
from avbench.bench.spec import of_run
from avbench.data.databases import locate
from avbench.data.lists import Say
from avbench.detector import Detector
from avbench.engine import checkpoint
from avbench.engine.building import build
from avbench.errors import UserError
from avbench.plugins.registry import Plugins, installed
from avbench.records.card import Card
from avbench.records.run import Run
from avbench.records.training import WEIGHTS, FinishedTraining
from avbench.references import load_object
from avbench.types import Sample


@dataclass(frozen=True, slots=True)
class Subject:
    """A run: its folder, card, and what it comes to with its data at hand."""

    folder: Path
    card: Card
    resolved: ResolvedRun

    @property
    def demo(self) -> bool:
        """Whether demo data made what is drawn."""
        return self.card.is_demo or self.resolved.lists.demo

    @property
    def figures(self) -> Path:
        """Return the folder of the run's figures."""
        return self.folder / "figures"

    @property
    def title(self) -> str:
        """Return the run in one line, with the settings that were changed."""
        changed = ", ".join(self.card.overrides)
        return self.card.title_without_demo + (f" · {changed}" if changed else "")

    @property
    def fps(self) -> float:
        """Return frames a second of the detector's clips."""
        return self.resolved.config.clip.fps

    def heading(self, what: str) -> str:
        """Return a figure's heading; what is drawn from demo data says so."""
        return f"{what}{' (demo data)' if self.demo else ''}"

    def sample(self, name: str) -> Sample:
        """Return the video of the judged database with this id, or the only one whose id ends or begins like that."""
        samples = self.resolved.lists.test.samples()
        found = [s for s in samples if s.id == name] or [
            s for s in samples if s.id.endswith(name) or s.id.startswith(name)
        ]
        if len(found) == 1:
            return found[0]
        title = self.resolved.lists.test.title
        if not found:
            raise UserError(f"--video {name}: no such video in {title}, which has {samples[0].id} and others")
        shown = ", ".join(s.id for s in found[:4])
        raise UserError(f"--video {name}: {len(found)} videos of {title} are called like that: {shown}; name one")

    def with_truth(self, samples: Sequence[Sample]) -> list[Sample]:
        """Return samples with the frame-level truth that demo data bring; as they are where it was not copied along."""
        judged = self.resolved.lists.test
        if not judged.demo or judged.spec.make:
            return list(samples)
        datasets, whole = installed().datasets(), judged.root.parent
        makers = [spec for spec in datasets.values() if judged.spec.name in spec.stands_in_for and spec.made]
        makers = [spec for spec in makers if load_object(spec.made, f"dataset {spec.name}")(whole) is not None]
        bases = (locate(spec, {spec.name: whole}, datasets) for spec in makers)
        known = {s.path: (base.spec.name, s.annotations) for base in bases for s in base.samples()}
        there = ((sample, known.get(sample.path, (sample.dataset, sample.annotations))) for sample in samples)
        return [replace(sample, dataset=dataset, annotations=annotations) for sample, (dataset, annotations) in there]

    def detector(self, annotations: tuple[str, ...] = ()) -> Detector:
        """Return the trained detector, in evaluation; its clips bring `annotations` along."""
        config = replace(self.resolved.config, clip=replace(self.resolved.config.clip, annotations=annotations))
        detector = build(self.resolved.detector, config, self.card.seed)
        for stage in config.stages:
            detector.begin_stage(stage)
        given = self.card.request.checkpoint if self.card.request is not None else None
        plan = self.resolved.plan
        path = plan.folder / WEIGHTS if plan is not None else Path(given or "")
        if not path.is_file():
            raise UserError(f"{self.card.id}: its weights are gone ({path}); repeat its avbench run")
        if plan is not None and (record := FinishedTraining.load(plan.folder)) is not None:
            record.require_unchanged(path)
        checkpoint.load_weights(detector, path)
        return detector.eval()


def open_run(
    folder: Path, plugins: Plugins, roots: Mapping[str, Path], *, limit: int | None = None, say: Say = lambda line: None
) -> Subject:
    """Return a finished run with its data; `roots` stand in for those the run was made with, `limit` bounds its test.

    Raises UserError for an unfinished run, an ensemble, imported scores, and data or versions that moved on.
    """
    run = Run.read(folder)
    spec = of_run(run, roots, limit)
    if run.card.members:
        raise UserError(f"{run.id} is an ensemble, which has no features of its own; name the run of a member")
    spec = replace(spec, protocol=replace(spec.protocol, perturbations=(), levels=()))
    lists = lists_of(spec, plugins, say=say)
    return Subject(folder, run.card, resolve(spec, plugins, lists, run.results_folder))
