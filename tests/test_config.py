"""Presets and --set: typed, named, refused with a hint where unknown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avbench.config import Config, Weights, learned_label, resolve
from avbench.errors import UserError
from avbench.hashing import digest_of
from avbench.types import ClipSpec, DetectorSpec, Preset, Stage

SPEC = DetectorSpec(
    name="example",
    load="x:Y",
    tasks=("binary",),
    presets=(
        Preset(
            "official",
            settings={"width": 512, "crop": "160", "drop": 0.1, "use_fau": True},
            stages=(Stage("first"), Stage("second")),
            for_dataset={"lavdf": {"accumulate": 2}},
        ),
        Preset("demo", clip=ClipSpec(size=112), settings={"width": 32}),
    ),
)


def test_default_preset_follows_the_data() -> None:
    assert resolve(SPEC, "binary").preset == "official"
    assert resolve(SPEC, "binary", demo=True).preset == "demo"
    assert resolve(SPEC, "binary", demo=True, preset="official").preset == "official"


def test_overrides_are_typed_and_reach_settings_stages_and_clip() -> None:
    config = resolve(
        SPEC,
        "binary",
        overrides=[
            "width=64",
            "crop=112",
            "use_fau=off",
            "epochs=3",
            "second.epochs=5",
            "clip.size=96",
            "micro_batch=2",
            "eval_batch=7",
        ],
    )
    assert config.settings == {"width": 64, "crop": "112", "drop": 0.1, "use_fau": False}
    assert [s.epochs for s in config.stages] == [3, 5]
    assert [s.micro_batch for s in config.stages] == [2, 2]
    assert (config.clip.size, config.eval_batch) == (96, 7)


def test_settings_for_a_dataset_yield_to_the_command_line() -> None:
    assert resolve(SPEC, "binary", dataset="lavdf").stages[0].accumulate == 2
    assert resolve(SPEC, "binary", dataset="fakeav").stages[0].accumulate == 1
    assert resolve(SPEC, "binary", dataset="lavdf", overrides=["accumulate=4"]).stages[0].accumulate == 4


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("widht=3", "did you mean 'width'"),
        ("width=wide", "type int"),
        ("use_fau=maybe", "type bool"),
        ("third.epochs=1", "no setting"),
        ("epochs", "key=value"),
        ("epochs=-1", "at least 0"),
        ("batch=0", "at least 1"),
        ("name=x", "no setting"),
        ("clip.size=0", "at least 1"),
        ("clip.frames=-3", "at least 0"),
        ("clip.fps=0", "above 0"),
        ("clip.region=mouht", "did you mean 'mouth'"),
        ("second.precision=16-mixed", "16-mixed and 32-true; use one"),
    ],
)
def test_bad_overrides_say_what_to_do(override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        resolve(SPEC, "binary", overrides=[override])


def test_task_that_the_detector_cannot_do_is_refused() -> None:
    with pytest.raises(UserError, match="cannot do four_class: it does binary"):
        resolve(SPEC, "four_class")


def test_weights_count_by_content_not_by_place() -> None:
    config = resolve(SPEC, "binary")
    here = replace(config, weights={"w": Weights(Path("/a/x.pt"), "f00")})
    there = replace(config, weights={"w": Weights(Path("/b/y.pt"), "f00")})
    other = replace(config, weights={"w": Weights(Path("/a/x.pt"), "ba7")})
    assert digest_of(here.as_dict()) == digest_of(there.as_dict()) != digest_of(other.as_dict())


def test_pooling_is_the_detectors_unless_it_is_set_and_no_training_depends_on_it() -> None:
    spec = DetectorSpec(name="example", load="x:Y", pooling="mean_odds")
    own, other = resolve(spec, "binary"), resolve(spec, "binary", overrides=["pooling=softmax_of_sum"])
    assert (own.pooling, other.pooling) == ("mean_odds", "softmax_of_sum") and own.as_dict() == other.as_dict()
    with pytest.raises(UserError, match=r"pooling=median.*use one of mean, mean_logit, mean_odds"):
        resolve(spec, "binary", overrides=["pooling=median"])


def test_batches_that_are_all_whole_keep_the_hash_they_had() -> None:
    stages = [replace(Stage(), drop_last=drops) for drops in (True, False)]
    found = [Config("x", "binary", stages=(stage,)).as_dict()["stages"][0] for stage in stages]
    assert "drop_last" not in found[0] and found[1]["drop_last"] is False


@pytest.mark.parametrize(
    ("requires", "task", "expected"),
    [
        ({"video", "audio"}, "binary", [0, 1, 1, 1]),
        ({"video"}, "binary", [0, 1, 0, 1]),
        ({"audio"}, "binary", [0, 0, 1, 1]),
        ({"video", "audio"}, "four_class", [0, 1, 2, 3]),
    ],
)
def test_a_detector_learns_the_label_of_what_it_requires(requires: set[str], task: str, expected: list[int]) -> None:
    config = Config("x", task, requires=frozenset(requires))  # type: ignore[arg-type]
    assert learned_label(config, np.arange(4)).tolist() == expected


def test_a_switch_brings_its_settings_along_and_the_configuration_shows_them() -> None:
    preset = Preset(
        settings={"reproduce_bugs": False, "drift": "no"},
        switches={"reproduce_bugs": {"drift": "yes", "clip_scaled": True}},
    )
    spec = DetectorSpec(name="example", load="x:Y", presets=(preset,))
    on, off = resolve(spec, "binary", overrides=["reproduce_bugs=true"]), resolve(spec, "binary")
    assert (on.settings["drift"], on.stages[0].clip_scaled) == ("yes", True)
    assert (off.settings["drift"], off.stages[0].clip_scaled) == ("no", False)
