"""Sweeps: equal to plain evaluation, continued after a kill, one training for all, loud where nothing changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from avbench.cli import main
from avbench.config import resolve
from avbench.data.loading import Loading, load_batches
from avbench.data.placement import oracle
from avbench.data.requests import ClipRequest, under, voices_for
from avbench.detector import Detector, probabilities
from avbench.engine.building import build
from avbench.engine.evaluation import evaluate, in_batches
from avbench.engine.sharing import outputs
from avbench.errors import UserError
from avbench.perturbations.conditions import choose
from avbench.plugins.registry import installed
from avbench.records.card import Card
from avbench.records.card_parts import DetectorPart, ProtocolRecord, Request, TrainingRecord
from avbench.records.measured import CommonVideos
from avbench.types import ClipBatch, Forgery, Sample, Stream
from dying import kill_after

PLUGIN = str(Path(__file__).with_name("small_detector.py"))
TYPES = ("saturation", "video_compression", "white_noise")


def words(tiny: Path, out: Path, *more: str) -> list[str]:
    shared = ["--plugin", PLUGIN, "--detector", "small", "--data", f"folder={tiny}", "--out", str(out)]
    return [*shared, "--task", "binary", "--no-mlflow", "--set", "epochs=2", *more]


def sweep(tiny: Path, out: Path, *more: str) -> list[str]:
    chosen = ["--types", *TYPES, "--levels", "0", "2", "5", "--protocol", "within_folder"]
    return ["perturb", *words(tiny, out, *chosen, *more)]


@pytest.fixture(scope="module")
def swept(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Card, Path]:
    """Sweep once for the whole module; return the results folder, the card and the run's folder."""
    out = tmp_path_factory.mktemp("swept")
    assert main(sweep(tiny, out)) == 0
    (folder,) = (out / "runs").iterdir()
    return out, Card.load(folder), folder


Swept = tuple[Path, Card, Path]


def test_the_card_holds_every_condition_and_the_headline_is_clean(swept: Swept) -> None:
    _, card, folder = swept
    found = card.perturbations
    assert list(found.types) == list(TYPES) and found.videos == CommonVideos(12, 0)
    assert card.protocol.name == "perturb_folder" and card.protocol.levels == (0, 2, 5)
    assert found.clean["auc"] == card.metrics["oracle"]["video"]["auc"]
    for name, one in found.types.items():
        assert list(one.levels) == [2, 5]
        values = [one.levels[k].metrics["auc"].value for k in (2, 5)]
        assert one.mean["auc"].value == pytest.approx(np.mean(values))
        assert one.drop["auc"].value == pytest.approx(found.clean["auc"].value - np.mean(values))
        strength = one.levels[5].strength
        assert strength.clips == 12 and strength.unchanged == 0
        assert list(strength.medians())[:1] == (["snr"] if name == "white_noise" else ["psnr"])
        assert ("psnr" in strength.medians()) != ("snr" in strength.medians())
    assert found.types["video_compression"].levels[5].strength.kbps > 1
    assert (folder / "figures" / "robustness.png").stat().st_size > 10_000
    assert "Robustness to unseen perturbations" in (folder / "figures" / "robustness.svg").read_text("utf-8")
    table = pd.read_parquet(folder / "scores.parquet")
    assert len(table) == 12 * 7 and sorted(table["level"].unique()) == [0, 2, 5]
    assert not table.duplicated(["id", "start", "perturbation", "level"]).any()


def test_clean_and_perturbed_scores_are_those_of_plain_evaluation(swept: Swept, tiny: Path, tmp_path: Path) -> None:
    out, _, folder = swept
    table = pd.read_parquet(folder / "scores.parquet")
    clean = table[table["level"] == 0].reset_index(drop=True)
    assert main(["run", *words(tiny, out, "--protocol", "within_folder", "--placement", "oracle")]) == 0
    plain = next(path for path in (out / "runs").iterdir() if "within_folder" in path.name)
    assert np.abs(pd.read_parquet(plain / "scores.parquet")["score"] - clean["score"]).max() <= 1e-5
    assert Card.load(plain).training.reused and len(list((out / "trainings").iterdir())) == 1
    # One condition alone, in batches of many videos.
    spec = installed().detector("small") if "small" in installed().detectors() else None
    assert spec is not None
    config = resolve(spec, "binary")
    detector = build(spec, config, 0)
    from avbench.engine.checkpoint import load_weights

    load_weights(detector, next((out / "trainings").glob("*/weights.safetensors")))
    detector.eval()
    samples = _samples(tiny)
    condition = choose(["saturation"], [5], installed().perturbations())[1]
    requests = [replace(r, condition=condition) for r in oracle(samples, config.clip, 0)]
    loaded = list(load_batches([[r] for r in requests], config.clip, config.requires, workers=0))
    with torch.inference_mode():
        alone = {
            item.requests[0].sample.id: float(probabilities(detector(item.batch))[0]) for item in loaded if item.batch
        }  # type: ignore[arg-type]
    swept_rows = table[(table["perturbation"] == "saturation") & (table["level"] == 5)].set_index("id")["score"]
    assert alone and all(abs(alone[name] - swept_rows[name]) <= 1e-5 for name in swept_rows.index)


def _samples(tiny: Path) -> list[Sample]:
    from avbench.data.databases import locate

    plugins = installed()
    base = locate(plugins.dataset("folder"), {"folder": tiny}, plugins.datasets())
    return [sample for sample in base.samples() if sample.split == "test"]


def test_run_with_the_protocol_family_does_the_same(
    swept: Swept, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from avbench.protocol import perturbed

    plugins = installed()
    family = plugins.protocol("perturb_folder")
    assert family == replace(perturbed(plugins.protocol("within_folder")), title=family.title)
    assert family.perturbations == ("paper",) and family.levels == (0, 1, 2, 3, 4, 5)
    assert family.placements == ("oracle",)
    assert main(["perturb", *words(tiny, swept[0], "--limit", "6", "--protocol", "within_folder")]) == 0
    capsys.readouterr()
    assert main(["run", *words(tiny, swept[0], "--limit", "6", "--protocol", "perturb_folder")]) == 0
    assert "finished before" in capsys.readouterr().out


def test_repeating_prints_and_sweeping_a_run_uses_its_training(
    swept: Swept, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(sweep(tiny, swept[0])) == 0
    printed = capsys.readouterr().out
    assert "finished before" in printed and "AUC % at level" in printed and "How strong each level was" in printed
    words_ = ["perturb", "--plugin", PLUGIN, "--out", str(swept[0]), "--no-mlflow", "--types", "contrast"]
    assert main([*words_, "--levels", "5", "--limit", "4", "--run", swept[2].name]) == 0
    printed = capsys.readouterr().out
    assert (
        "is used again" in printed and "Own files: 16 train videos" in printed and "Own files: 4 test videos" in printed
    )
    beside = [word for word in words_ if word not in ("--out", str(swept[0]))]
    assert main([*beside, "--levels", "5", "--limit", "4", "--run", str(swept[2])]) == 0
    assert "finished before" in capsys.readouterr().out, "a folder says where its results are"
    assert main([*words_, "--run", "nothing-like-that"]) == 2
    assert "no run called 'nothing-like-that'" in capsys.readouterr().err
    training = replace(swept[1].training, id="small-folder-binary-s0-00000000")
    replace(swept[1], training=training).save(tmp_path / "runs" / "older")
    assert main([*words_, "--run", str(tmp_path / "runs" / "older")]) == 2
    assert "small-folder-binary-s0-00000000 belongs to other data or to another version" in capsys.readouterr().err


@pytest.mark.slow
def test_a_kill_continues_to_the_same_bytes(swept: Swept, tiny: Path, tmp_path: Path) -> None:
    kill_after("avbench.engine.parts:Parts.write", 1, sweep(tiny, tmp_path))
    (folder,) = (tmp_path / "runs").iterdir()
    assert Card.load(folder).status == "running" and len(list((folder / "parts").iterdir())) == 1
    assert main(sweep(tiny, tmp_path, "--workers", "1")) == 0
    assert (folder / "scores.parquet").read_bytes() == (swept[2] / "scores.parquet").read_bytes()


def test_a_condition_that_changes_nothing_is_an_error(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["--types", "blockwise", "--levels", "3", "--protocol", "within_folder"]
    assert main(["perturb", *words(tiny, tmp_path, *chosen)]) == 2
    message = capsys.readouterr().err
    assert "blockwise at level 3 changed nothing in 10 clips" in message and "blockwise_adapted" in message
    assert Card.load(next((tmp_path / "runs").iterdir())).status == "failed"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--types", "gauss_noise"], "did you mean 'gaussian_noise'"),
        (["--levels", "7"], "level 7: levels are 0"),
        (["--levels", "0"], "perturbs nothing"),
        (["--protocol", "within_nothing"], "no protocol called"),
        (["--fold", "all"], "one fold at a time"),
    ],
)
def test_wrong_words_are_told(
    tiny: Path, tmp_path: Path, more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["perturb", *words(tiny, tmp_path, *more)]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "runs").exists()


def test_several_detectors_make_one_figure(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["--types", "contrast", "--levels", "5", "--protocol", "within_folder", "--seed", "0", "1"]
    assert main(["perturb", *words(tiny, tmp_path, *chosen)]) == 0
    printed = capsys.readouterr().out
    assert "Mean AUC % over levels" in printed and "2 of 2" in printed
    assert (tmp_path / "figures" / "small-perturb_folder.png").is_file()


class TwoSteps(Detector):
    """Counts what it encodes; its score depends on both streams."""

    def __init__(self) -> None:
        config = replace(resolve(installed().detector("fauforensics"), "binary", preset="demo"), eval_batch=4)
        super().__init__(config)
        self.encoded: dict[str, int] = {"video": 0, "audio": 0}

    def encode(self, batch: ClipBatch, stream: Stream) -> dict[str, torch.Tensor]:
        assert len(batch) <= 4
        self.encoded[stream] += len(batch)
        return {stream: getattr(batch, stream).float().flatten(1).std(dim=1)}

    def classify(self, features: Any) -> Any:
        from avbench.types import Output

        return Output(logits=torch.stack([features["video"] / 50, features["audio"] * 9], dim=1))

    def forward(self, batch: ClipBatch) -> Any:
        return self.classify({**self.encode(batch, "video"), **self.encode(batch, "audio")})


def test_shared_streams_are_encoded_once_and_scores_stay(tiny: Path) -> None:
    detector = TwoSteps()
    samples = _samples(tiny)[:2]
    conditions = choose(["saturation", "white_noise"], [1, 3, 5], installed().perturbations())
    requests = under(oracle(samples, detector.config.clip, 0), conditions, samples)
    batches = in_batches(requests, 4)
    assert [len(batch) for batch in batches] == [7, 7]
    for loaded in load_batches(batches, detector.config.clip, detector.config.requires, workers=0):
        detector.encoded = {"video": 0, "audio": 0}
        shared = outputs(detector, loaded, torch.device("cpu"))
        assert detector.encoded == {"video": 4, "audio": 4}  # as it is, and three of each
        assert loaded.batch is not None and shared.logits is not None
        plain = torch.cat([detector(loaded.batch.part(i, i + 1)).logits for i in range(7)])
        assert torch.allclose(shared.logits, plain, atol=1e-5)
        detector.__class__.encode, kept = Detector.encode, detector.__class__.encode  # type: ignore[method-assign]
        try:
            assert not detector.in_two_steps
        finally:
            detector.__class__.encode = kept  # type: ignore[method-assign]


def test_fauforensics_judges_features_as_it_does_clips(tiny: Path) -> None:
    plugins = installed()
    spec = plugins.detector("fauforensics")
    config = resolve(spec, "binary", preset="demo")
    detector = build(spec, config, 3).eval()
    samples = _samples(tiny)[:1]
    conditions = choose(["gaussian_noise", "opus"], [1, 5], plugins.perturbations())
    requests = under(oracle(samples, config.clip, 0), conditions, samples)
    (loaded,) = load_batches(in_batches(requests, 16), config.clip, config.requires, workers=0)
    with torch.inference_mode():
        shared = outputs(detector, loaded, torch.device("cpu"))
        assert loaded.batch is not None
        plain = [detector(loaded.batch.part(i, i + 1)) for i in range(5)]
    for name in ("logits", "p_video", "p_audio"):
        assert torch.allclose(getattr(shared, name), torch.cat([getattr(one, name) for one in plain]), atol=1e-5)
    assert shared.p_video is not None and len(set(shared.p_video.tolist())) > 1


def test_babble_draws_other_peoples_real_voices() -> None:
    people = [Sample(f"{i}.mp4", Path(f"{i}.mp4"), Forgery(i % 4), identity=f"p{i // 4}") for i in range(40)]
    babble = choose(["babble"], [1, 5], installed().perturbations())
    requests = under([ClipRequest(people[6], people[6].forgery)], babble, people)
    voices = [request.condition.voices for request in requests if request.condition]
    assert requests[0].condition is None and len(voices[0]) == 4 and voices[0] == voices[1]
    heard = [people[int(path.stem)] for path in voices[0]]
    assert all(not person.forgery.audio_fake and person.identity != "p1" for person in heard)
    assert babble[1] is not None
    assert voices_for(babble[1], people[7], people).voices != voices[0]
    assert voices_for(babble[1], people[0], people[:4]).voices == ()


def test_too_many_unreadable_videos_stop_a_sweep_and_one_is_left_out(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    shutil.copytree(tiny, tmp_path / "data")
    (tmp_path / "data" / "person6_RAFV.mp4").write_bytes(b"broken")
    assert main(sweep(tmp_path / "data", tmp_path / "one")) == 0
    card = Card.load(next((tmp_path / "one" / "runs").iterdir()))
    assert card.perturbations.videos == CommonVideos(11, 1) and card.counts.reasons == {"unreadable": 1}
    assert "1 left out" in capsys.readouterr().out
    for path in (tmp_path / "data").glob("person[567]*.mp4"):
        path.write_bytes(b"broken")
    assert main(sweep(tmp_path / "data", tmp_path / "all")) == 2
    assert "--max-errors" in capsys.readouterr().err


def test_evaluation_of_a_sweep_leaves_parts_of_a_bounded_size(tiny: Path, tmp_path: Path) -> None:
    from avbench.engine.devices import make_fabric

    detector = TwoSteps()
    samples = _samples(tiny)
    conditions = choose(["saturation"], [1, 2, 3, 4, 5], installed().perturbations())
    requests = under(oracle(samples, detector.config.clip, 0), conditions, samples)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("avbench.engine.evaluation.BATCHES_PER_PART", 3)
        table = evaluate(detector, requests, tmp_path, make_fabric("cpu"), Loading(workers=0))
    assert len(table) == 12 * 6 and len(list((tmp_path / "parts").iterdir())) == 6  # two videos each
    with pytest.raises(UserError, match="level 9"):
        choose(["saturation"], [9], installed().perturbations())


MINE = """
from avbench.hookspecs import hookimpl
from avbench.types import PerturbationSpec


def darken(picture, parameter, context):
    return (picture * parameter).astype("uint8")


def quieten(sound, parameter, context):
    noise = context.random.standard_normal(len(sound)) * 0.01
    return (sound * parameter + noise).astype("float32")


@hookimpl
def avbench_perturbations():
    levels = (0.9, 0.8, 0.7, 0.6, 0.5)
    yield PerturbationSpec(name="darken", title="Darkening", load=f"{__name__}:darken", stream="video", levels=levels)
    quieten = f"{__name__}:quieten"
    yield PerturbationSpec("both_at_once", "Both", f"{__name__}:darken", "both", levels, load_sound=quieten)
"""


def test_a_plugin_file_brings_perturbations_of_one_stream_and_of_both(tiny: Path, tmp_path: Path) -> None:
    """As the hook's docstring and the documentation show it."""
    from avbench import hookspecs

    example = str(hookspecs.avbench_perturbations.__doc__)
    assert 'return (picture * parameter).astype("uint8")' in example and 'load=f"{__name__}:darken"' in example
    plugin = tmp_path / "mine_too.py"
    plugin.write_text(MINE, "utf-8")
    chosen = ["--types", "darken", "both_at_once", "--levels", "1", "5", "--plugin", str(plugin)]
    assert main(["perturb", *words(tiny, tmp_path, *chosen, "--protocol", "within_folder")]) == 0
    found = Card.load(next((tmp_path / "runs").iterdir())).perturbations.types
    assert set(found["darken"].levels[5].strength.medians()) == {"psnr"}
    assert set(found["both_at_once"].levels[5].strength.medians()) == {"psnr", "snr"}


def test_without_a_word_the_newest_binary_run_is_swept_and_without_any_run_the_demo_is_trained(
    swept: Swept, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from avbench.cli import _parser
    from avbench.cli.perturb import _asked

    plugins = installed()
    arguments = _parser(["perturb", "--out", str(tmp_path)]).parse_args(["perturb", "--out", str(tmp_path)])
    ((spec,), _) = _asked(arguments, plugins)
    assert (spec.detector, spec.protocol.name, spec.task) == ("fauforensics", "perturb_fakeav", "binary")
    assert spec.limit is None and not spec.training and "the demo is trained first" in capsys.readouterr().out

    arguments = _parser(["perturb", "--out", str(tmp_path)]).parse_args(["perturb", "--out", str(tmp_path)])
    for number, (task, status) in enumerate([("binary", "finished"), ("four_class", "finished"), ("binary", "failed")]):
        name = f"fauforensics-cross_lavdf_to_fakeav-{task}-s3-{number}"
        Card(
            id=name,
            status=status,  # type: ignore[arg-type]
            task=task,
            seed=3,
            detector=DetectorPart("fauforensics"),
            protocol=ProtocolRecord("cross_lavdf_to_fakeav", train="lavdf", test="fakeav", fold=2),
            request=Request(preset="demo", overrides=("epochs=2",), limit=9),
            training=TrainingRecord(id=f"training-{number}"),
        ).save(tmp_path / "runs" / name)
    ((spec,), _) = _asked(arguments, plugins)
    assert "sweeping fauforensics-cross_lavdf_to_fakeav-binary-s3-0" in capsys.readouterr().out
    assert (spec.protocol.name, spec.protocol.train, spec.protocol.fold) == (
        "perturb_cross_lavdf_to_fakeav",
        "lavdf",
        2,
    )
    assert (spec.seed, spec.limit, spec.limit_test, spec.overrides) == (3, 9, None, ("epochs=2",))
    assert spec.training == "training-0" and spec.protocol.perturbations == ("paper",)
