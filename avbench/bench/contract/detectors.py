"""What a detector promises, checked on clips of noise: one score a clip, the same twice, a loss that trains."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import torch

from avbench.bench import ensemble
from avbench.bench.contract.results import Result, complaint_of
from avbench.config import Config, resolve
from avbench.data.batches import facts
from avbench.detector import Detector, probabilities
from avbench.engine.building import build
from avbench.errors import UserError
from avbench.types import CLASSES, ClipBatch, ClipSpec, DetectorSpec, MediaInfo, Task

TOLERANCE = 1e-4


def random_batch(clip: ClipSpec, clips: int, seed: int = 0) -> ClipBatch:
    """Return clips of noise with every stream present, the four classes in turn."""
    generator = torch.Generator().manual_seed(seed)
    frames, side = clip.frames, clip.size
    return ClipBatch(
        video=torch.randint(0, 256, (clips, frames, 3, side, side), generator=generator, dtype=torch.uint8),
        audio=torch.rand(clips, clip.samples, generator=generator) * 0.2 - 0.1,
        frames=torch.full((clips,), frames),
        samples=torch.full((clips,), clip.samples),
        forgery=torch.arange(clips) % 4,
        has_audio=torch.ones(clips, dtype=torch.bool),
        has_video=torch.ones(clips, dtype=torch.bool),
        seed=torch.arange(clips) + 1000 * seed,
        ids=tuple(f"clip {i}" for i in range(clips)),
        annotations=facts([MediaInfo(4.0 + i, clip.fps, 100 + 25 * i, True, True, 200_000) for i in range(clips)]),
    )


def check_detector(spec: DetectorSpec, preset: str | None = None) -> Iterator[Result]:
    """Check a detector in each task it declares, with its smallest preset unless one is named."""
    chosen = preset or spec.default_preset(demo=True).name
    for task in spec.tasks:
        try:
            config = resolve(spec, task, preset=chosen)
            detector = build(spec, config, seed=1)
        except Exception as error:
            yield Result(f"{task}: builds", False, complaint_of(error))
            continue
        yield Result(f"{task}: builds", True, f"{sum(p.numel() for p in detector.parameters()):,} parameters")
        for promise, judge in _PROMISES.items():
            try:
                complaint = judge(spec, config, detector, task)
            except Exception as error:
                complaint = complaint_of(error)
            yield Result(f"{task}: {promise}", not complaint, complaint)


def check_ensemble(spec: DetectorSpec, known: Mapping[str, DetectorSpec]) -> Iterator[Result]:
    """Check that an ensemble's members are there and its rule is known, then each member with its smallest preset."""
    try:
        ensemble.require_members(spec, known)
        rule = ensemble.settings_of(spec, ())[0]
    except UserError as error:
        yield Result("its members and its rule are known", False, str(error))
        return
    yield Result("its members and its rule are known", True, f"{rule} of {' and '.join(spec.members)}")
    for name in spec.members:
        binary = replace(known[name], tasks=tuple(task for task in known[name].tasks if task == "binary"))
        yield Result(f"{name}: does the binary task", bool(binary.tasks))
        for result in check_detector(binary):
            yield replace(result, promise=f"{name}, {result.promise}")


def _scores(detector: Detector, batch: ClipBatch) -> torch.Tensor:
    detector.eval()
    with torch.inference_mode():
        return probabilities(detector(batch))[0]


def _gives_scores(spec: DetectorSpec, config: Config, detector: Detector, task: Task) -> str:
    batch = random_batch(config.clip, 3)
    detector.eval()
    with torch.inference_mode():
        output = detector(batch)
    if output.logits is not None and tuple(output.logits.shape) != (3, CLASSES[task]):
        return f"logits have shape {tuple(output.logits.shape)}, expected (3, {CLASSES[task]})"
    p_fake = probabilities(output)[0]
    if p_fake.shape != (3,):
        return f"scores have shape {tuple(p_fake.shape)}, expected (3,)"
    inside = bool(torch.isfinite(p_fake).all() and (p_fake >= 0).all() and (p_fake <= 1).all())
    return "" if inside else f"scores must lie in [0, 1], got {p_fake.tolist()}"


def _repeats(spec: DetectorSpec, config: Config, detector: Detector, task: Task) -> str:
    batch = random_batch(config.clip, 3)
    before = batch.video.clone(), batch.audio.clone()
    same = torch.equal(_scores(detector, batch), _scores(detector, batch))
    untouched = torch.equal(before[0], batch.video) and torch.equal(before[1], batch.audio)
    return (
        "" if same and untouched else "two evaluations of one batch differ" if not same else "forward changed its batch"
    )


def _ignores_batch_mates(spec: DetectorSpec, config: Config, detector: Detector, task: Task) -> str:
    batch = random_batch(config.clip, 3)
    together = _scores(detector, batch)
    alone = torch.cat([_scores(detector, batch.part(i, i + 1)) for i in range(3)])
    worst = float((together - alone).abs().max())
    return "" if worst <= TOLERANCE else f"a clip's score changes by {worst:.2g} with the clips beside it"


def _judges_in_two_steps(spec: DetectorSpec, config: Config, detector: Detector, task: Task) -> str:
    if not detector.in_two_steps:
        return ""
    batch = random_batch(config.clip, 3)
    whole = _scores(detector, batch)
    with torch.inference_mode():
        features = {**detector.encode(batch, "video"), **detector.encode(batch, "audio")}
        worst = float((probabilities(detector.classify(features))[0] - whole).abs().max())
    return "" if worst <= 1e-5 else f"classify(encode(...)) differs from forward by {worst:.2g}"


def _trains(spec: DetectorSpec, config: Config, detector: Detector, task: Task) -> str:
    stage = config.stages[-1]
    detector.begin_stage(stage)
    if not any(p.requires_grad for p in detector.parameters()):
        return "" if stage.epochs == 0 else _only_counts(config, detector)
    optimizer, _ = detector.optimizer(stage, 10)
    before = {name: p.detach().clone() for name, p in detector.named_parameters()}
    detector.train()
    batch = random_batch(config.clip, 4)
    losses = detector.loss(detector(batch), batch)
    if "loss" not in losses or losses["loss"].ndim or not math.isfinite(float(losses["loss"].detach())):
        return 'loss(output, batch) must return {"loss": a finite scalar, ...}'
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    detector.after_step()
    moved = {name for name, p in detector.named_parameters() if not torch.equal(before[name], p)}
    frozen = {name for name, p in detector.named_parameters() if not p.requires_grad}
    return (
        ""
        if moved and not moved & frozen
        else "a training step moved nothing"
        if not moved
        else "a frozen weight moved"
    )


def _only_counts(config: Config, detector: Detector) -> str:
    """Show a detector without a trainable weight a batch, as a training would; what it counts must change."""
    before = {name: value.clone() for name, value in detector.named_buffers()}
    detector.train()
    batch = random_batch(config.clip, 4)
    with torch.no_grad():
        losses = detector.loss(detector(batch), batch)
    if "loss" not in losses or not math.isfinite(float(losses["loss"])):
        return 'loss(output, batch) must return {"loss": a finite scalar, ...}'
    counted = any(not torch.equal(before[name], value) for name, value in detector.named_buffers())
    return "" if counted else "nothing is trainable, and loss counts nothing in a buffer; a stage of epochs=0 says so"


def _draws_from_seeds(spec: DetectorSpec, config: Config, detector: Detector, task: Task) -> str:
    batch = random_batch(config.clip, 4)
    losses = []
    for _ in range(2):
        twin = build(spec, config, seed=1)
        twin.begin_stage(config.stages[-1])
        twin.train()
        torch.manual_seed(5)
        losses.append(float(twin.loss(twin(batch), batch)["loss"].detach()))
    return "" if losses[0] == losses[1] else "two training passes from the same seeds differ"


def _saves_and_loads(spec: DetectorSpec, config: Config, detector: Detector, task: Task) -> str:
    twin = build(spec, config, seed=2)
    for stage in config.stages:
        twin.begin_stage(stage)
    twin.load_state_dict(detector.state_dict(), strict=True)
    batch = random_batch(config.clip, 2)
    return (
        ""
        if torch.equal(_scores(detector, batch), _scores(twin, batch))
        else "weights saved and loaded score differently"
    )


_PROMISES: dict[str, Callable[[DetectorSpec, Config, Detector, Task], str]] = {
    "gives one score in [0, 1] a clip": _gives_scores,
    "evaluates the same twice": _repeats,
    "ignores batch mates": _ignores_batch_mates,
    "judges features as it does clips": _judges_in_two_steps,
    "draws randomness from seeds alone": _draws_from_seeds,
    "learns from its loss": _trains,
    "saves and loads": _saves_and_loads,
}
