"""MRDF learns: its losses beside loops, stem, rate and refusals, published files, the AUROC of labels, the harness."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch.optim.lr_scheduler import ReduceLROnPlateau

from avbench.bench.contract import check_detector, random_batch
from avbench.cli import main
from avbench.config import resolve
from avbench.errors import UserError
from avbench.plugins.registry import installed
from avbench.records.card import Card
from avbench_backbones.checkpoints import CheckpointError
from avbench_mrdf import keys, losses
from avbench_mrdf.detector import MRDF
from avbench_mrdf.metric import auc_of_labels
from avbench_mrdf.plugin import DEMO, Variant, avbench_detectors
from building import SMALL, build_detector

SPEC = next(iter(avbench_detectors()))
TINY = SMALL["mrdf"]
build = partial(build_detector, "mrdf", *TINY)


def step(detector: MRDF, number: int = -1) -> set[str]:
    """Take one training step of a stage, by default the last; return the names of what moved."""
    batch = random_batch(detector.config.clip, 4)
    stage = detector.config.stages[number]
    detector.begin_stage(stage)
    optimizer, _ = detector.optimizer(stage, 10)
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    detector.train()
    detector.loss(detector(batch), batch)["loss"].backward()
    optimizer.step()
    return {name for name, value in detector.state_dict().items() if not torch.equal(value, before[name])}


def test_a_stage_called_streams_teaches_both_streams_alone() -> None:
    detector = build()
    batch = random_batch(detector.config.clip, 4)
    detector.begin_stage(detector.config.stages[0])
    detector.train()
    assert set(detector.loss(detector(batch), batch)) == {"loss", "loss_video", "loss_audio"}
    moved = step(build(), 0)
    assert any("feature_extractor_video" in name for name in moved)
    assert not any("model.encoder." in name for name in moved), "nothing asks for the fused token"


def cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def test_regularisers_beside_loops() -> None:
    torch.manual_seed(0)
    video, audio = torch.randn(5, 6), torch.randn(5, 6)
    label = torch.tensor([1, 0, 0, 1, 0])
    rows = list(zip(video.tolist(), audio.tolist(), label.tolist(), strict=True))
    one_by_one = [1 - cosine(v, a) if real else max(cosine(v, a), 0) for v, a, real in rows]
    assert float(losses.across(video, audio, label)) == pytest.approx(np.mean(one_by_one), abs=1e-6)
    pairs = [1 - cosine(v, w) if p == q else max(cosine(v, w), 0) for v, _, p in rows for w, _, q in rows]
    assert float(losses.within(video, label)) == pytest.approx(np.mean(pairs), abs=1e-6) and len(pairs) == 25


@pytest.mark.parametrize(
    ("variant", "terms"),
    [
        ("ce", {"clip", "across", "video", "audio"}),
        ("margin", {"clip", "across", "video", "audio"}),
        ("avdf", {"clip"}),
        ("ensemble", {"video", "audio"}),
        ("multilabel", {"clip"}),
        ("multiclass", {"clip"}),
    ],
)
def test_each_variant_has_its_losses_of_weight_1(variant: str, terms: set[str]) -> None:
    detector = build(f"variant={variant}")
    batch = random_batch(detector.config.clip, 4)
    found = detector.loss(detector(batch), batch)
    assert found.keys() == {"loss", *(f"loss_{term}" for term in terms)}
    assert found["loss"].item() == pytest.approx(sum(v.item() for k, v in found.items() if k != "loss"), rel=1e-5)


def test_margin_compares_embeddings_by_the_label_of_their_stream() -> None:
    detector = build("variant=margin").eval()
    batch = random_batch(detector.config.clip, 4)
    with torch.no_grad():
        output = detector(batch)
        found = detector.loss(output, batch)
    video, audio = torch.tensor([1, 0, 1, 0]), torch.tensor([1, 1, 0, 0])
    torch.testing.assert_close(found["loss_video"], losses.within(output.aux["embedding_video"], video))
    torch.testing.assert_close(found["loss_audio"], losses.within(output.aux["embedding_audio"], audio))
    across = losses.across(output.aux["mean_video"], output.aux["mean_audio"], torch.tensor([1, 0, 0, 0]))
    torch.testing.assert_close(found["loss_across"], across)
    assert output.p_video is None


@pytest.mark.parametrize("variant", get_args(Variant))
def test_every_weight_learns(variant: str) -> None:
    detector = build(f"variant={variant}", "train_stem=true")
    moved = step(detector)
    still = {name for name, _ in detector.named_parameters()} - moved
    assert all(name.endswith("k_proj.bias") for name in still)  # which attention cannot feel


def test_the_published_stem_stays_random_but_counts() -> None:
    detector = build("reproduce_bugs=true")
    moved = {name.partition("frontend3D.")[2] for name in step(detector) if "frontend3D" in name}
    assert moved == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
    detector.begin_stage(detector.config.stages[0])
    assert not any(p.requires_grad for name, p in detector.named_parameters() if "frontend3D" in name)


def test_published_optimiser() -> None:
    config = resolve(SPEC, "binary", preset="official")
    (stage,) = config.stages
    assert (stage.lr, stage.weight_decay, stage.batch, stage.epochs, stage.clip_norm) == (1e-3, 1e-4, 64, 30, 0)
    adam, schedule = build().optimizer(stage, 10)
    assert isinstance(adam, torch.optim.Adam) and adam.defaults["betas"] == (0.5, 0.9)
    assert isinstance(schedule, ReduceLROnPlateau)
    rates = []
    for _ in range(9):
        schedule.step(1.0)
        rates.append(adam.param_groups[0]["lr"])
    assert rates == [1e-3] * 4 + [5e-4] * 4 + [2.5e-4]


def lightning(detector: MRDF, *, aliases: bool) -> dict[str, torch.Tensor]:
    """Return weights as Lightning writes them, under one family of names, with what only pre-training needs."""
    state = {name.removeprefix("network."): value for name, value in detector.state_dict().items()}
    if aliases:
        there = {own: alias for alias, own in keys.ALIASES.items()}
        prefixes = {name: next((own for own in there if name.startswith(own)), "") for name in state}
        state = {there.get(own, "") + name.removeprefix(own): state[name] for name, own in prefixes.items()}
        assert not any(name.startswith("model.") for name in state)
    unused = {"model.mask_emb": torch.rand(104), "model.final_proj.weight": torch.rand(4, 4)}
    return state | unused | {"final_proj_audio.bias": torch.rand(4), "model.label_embs_concat": torch.rand(4)}


@pytest.mark.parametrize("families", [(False,), (True,), (False, True)])
def test_lightning_file_by_any_family_of_names(families: tuple[bool, ...], tmp_path: Path) -> None:
    trained, fresh = build(seed=1), build(seed=2)
    state = {name: value for aliases in families for name, value in lightning(trained, aliases=aliases).items()}
    fresh.load_state_dict(dict(fresh.convert_checkpoint({"state_dict": state})), strict=True)  # type: ignore[dict-item]
    own = trained.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in fresh.state_dict().items())
    assert fresh.convert_checkpoint(own) is own


def test_lightning_file_must_be_whole_and_of_one_mind() -> None:
    trained, fresh = build(seed=1), build(seed=2)
    state = lightning(trained, aliases=True)
    del state["project_hubert.1.bias"]
    with pytest.raises(RuntimeError, match=r"post_extract_proj\.bias"):
        fresh.load_state_dict(dict(fresh.convert_checkpoint(state)), strict=True)
    torn = lightning(trained, aliases=False) | {"project_hubert.1.bias": torch.ones(16)}
    with pytest.raises(CheckpointError, match="differs"):
        fresh.convert_checkpoint(torn)
    plain = build("variant=avdf", seed=2)  # its published file holds projections that it does not compute
    extra = {n: v for n, v in lightning(trained, aliases=False).items() if "_classifier.0." not in n or "mm_" in n}
    plain.load_state_dict(dict(plain.convert_checkpoint(extra)), strict=True)


def test_files_of_avhubert_are_refused_in_one_line(tmp_path: Path) -> None:
    for value in (str(tmp_path / "avhubert.pt"), "auto", "avhubert-base-vox"):
        with pytest.raises(UserError, match=r"avhubert_weights=.*pre-LN.*post-LN") as error:
            build(f"avhubert_weights={value}")
        assert "\n" not in str(error.value)
    build("avhubert_weights=none")


def test_auc_of_labels_is_sklearns_and_does_not_rank() -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame({"forgery": random.integers(0, 4, 60), "score": random.random(60)})
    fake = table["forgery"] > 0
    assert auc_of_labels(table) == pytest.approx(roc_auc_score(fake, table["score"] > 0.5))
    assert auc_of_labels(table) != pytest.approx(roc_auc_score(fake, table["score"]))
    p_BK = random.dirichlet(np.ones(4), 60)
    four = table.assign(**dict(zip(("p_rarv", "p_rafv", "p_farv", "p_fafv"), p_BK.T, strict=True)))
    assert auc_of_labels(four) == pytest.approx(roc_auc_score(fake, p_BK.argmax(axis=1) > 0))
    assert installed().metrics()["auc_of_labels"].tasks == ("binary", "four_class")


@pytest.mark.parametrize(
    ("overrides", "task", "message"),
    [
        (("variant=other",), "binary", "use one of ce, margin"),
        (("variant=ensemble",), "four_class", "cannot do four_class"),
        (("crop=30",), "binary", "crop=30 cannot be cut out of pictures of 20"),
        (("heads=3",), "binary", "no multiple of heads=3"),
        (("clip.fps=30",), "binary", "mrdf joins 25 frames a second"),
    ],
)
def test_what_no_network_can_have_is_refused(overrides: tuple[str, ...], task: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(*overrides, task=task)


def test_keeps_the_contract() -> None:
    demo = next(preset for preset in SPEC.presets if preset.name == "demo")
    small = dict(text.split("=") for text in TINY if not text.startswith("clip."))
    settings = replace(DEMO, **{key: int(value) for key, value in small.items()})
    preset = replace(demo, clip=replace(demo.clip, frames=10, size=20), settings=settings)
    broken = [result for result in check_detector(replace(SPEC, presets=(preset,))) if not result.kept]
    assert not broken


def test_trains_and_judges_by_command(tiny: Path, tmp_path: Path) -> None:
    words = ["run", "--detector", "mrdf", "--preset", "demo", "--protocol", "within_folder", "--task", "binary"]
    settings = (*(text for text in TINY if text != "clip.frames=10"), "epochs=2")
    words += [word for setting in settings for word in ("--set", setting)]
    assert main([*words, "--data", f"folder={tiny}", "--workers", "0", "--out", str(tmp_path)]) == 0
    run = next((tmp_path / "runs").iterdir())
    scores = pd.read_parquet(run / "scores.parquet")
    assert len(scores) == 12 * scores["placement"].nunique() and scores["score"].between(0, 1).all()
    assert (scores["start"] == 0).all() and scores["end"].between(1.1, 1.3).all()  # whole videos of 1.2 s
    assert scores["p_video"].notna().all() and scores["p_audio"].notna().all()
    video = Card.load(run).metrics["oracle"]["video"]
    assert video["auc_of_labels"].value == pytest.approx(video["balanced_acc"].value)


@pytest.mark.slow
def test_official_size_trains_and_judges_real_faces(real_root: Path, tmp_path: Path) -> None:
    words = ["run", "--detector", "mrdf", "--preset", "official", "--protocol", "cross_lavdf_to_fakeav"]
    words += ["--task", "binary", "--data", str(real_root), "--out", str(tmp_path), "--limit", "4"]
    words += ["--set", "epochs=1", "--set", "batch=2", "--set", "micro_batch=1", "--set", "eval_batch=1"]
    assert main(words) == 0
    told = Card.load(next((tmp_path / "runs").iterdir()))
    assert told.counts.scored == 4 and told.training.parameters == 19_376_646
