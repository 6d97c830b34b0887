"""Cards: what a run begins with, what comes back from a file, what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avbench.bench.card import begin, with_training
from avbench.bench.resolving import resolve
from avbench.bench.spec import RunSpec
from avbench.data.lists import prepare
from avbench.errors import UserError
from avbench.hookspecs import hookimpl
from avbench.plugins.registry import Plugins, Source
from avbench.protocol import Protocol
from avbench.records.card import Card
from avbench.records.card_parts import (
    DataList,
    DataPart,
    DetectorPart,
    Encoder,
    Environment,
    Git,
    Gpu,
    Member,
    MemberTraining,
    Processor,
    ProtocolRecord,
    Request,
    TrainedOn,
    TrainingRecord,
)
from avbench.records.caveats import Caveat, above_ceiling, limited_to, tells_unseen
from avbench.records.measured import (
    Blind,
    Ceiling,
    ClipCounts,
    CommonVideos,
    Confusion,
    Counts,
    Measured,
    PerturbedLevel,
    PerturbedType,
    Robustness,
    Setting,
    Strength,
)
from avbench.types import DetectorSpec, Forgery

PUBLISHED = {"within_folder": {"example": {"binary": {"acc": 0.95, "auc": 0.99}}}}
PROTOCOL = Protocol("within_folder", 1, "folder", "folder")


class Example:
    """A plugin whose detector is never built."""

    @hookimpl
    def avbench_detectors(self) -> list[DetectorSpec]:
        return [DetectorSpec(name="example", load="no:where")]


@pytest.mark.parametrize(
    ("changes", "demo", "beside"),
    [
        ({}, False, {"acc": 0.95, "auc": 0.99}),
        ({"task": "four_class"}, False, {}),
        ({"limit": 8}, False, {}),
        ({"limit_test": 8}, False, {}),
        ({}, True, {}),
    ],
)
def test_published_values_stand_beside_whole_real_databases_only(
    tiny: Path,
    changes: dict[str, Any],
    demo: bool,
    beside: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("avbench.bench.card.published", lambda: PUBLISHED)
    plugins = Plugins()
    plugins.load_installed()
    plugins._register(Example(), Source("example", "this test"))
    spec = RunSpec(detector="example", protocol=PROTOCOL, task="binary", roots={"folder": tiny})
    spec = replace(spec, **changes)
    lists = prepare(PROTOCOL, plugins, spec.roots, limit=spec.limit, limit_test=spec.limit_test)
    lists = replace(lists, test=replace(lists.test, demo=demo))
    card = begin(resolve(spec, plugins, lists), "", "")
    assert card.reported == beside
    assert ("demo data" in card.caveats) == demo and any("limited to 8" in caveat for caveat in card.caveats) == bool(
        {"limit", "limit_test"} & changes.keys()
    )


AUC = Measured(0.75, (0.5, 0.9), 12, 3, few_clusters=True, resamples=1000, skipped=2)
FULL = Card(
    id="both-within_folder-binary-s7-0a1b2c3d",
    detector=DetectorPart("both", "Both", "1", "somebody 1.0", "demo", "mean_logit", ("audio", "video"), "frame"),
    protocol=ProtocolRecord.of(replace(PROTOCOL, fold=2, levels=(5,), perturbations=("jpeg",)), ("sliding", "oracle")),
    status="finished",
    started="2026-01-31T12:00:00+00:00",
    group="both",
    seed=7,
    members=(Member("flicker", requires=("video",), run="r", training=MemberTraining("t", 3, "AUC", 4, 1.5, {})),),
    request=Request("demo", ("epochs=1",), 8, None, {"folder": "/data"}, None),
    data=DataPart(test=DataList("folder", "Own files", True, 12, {"RARV": 3}, "d", 3, "person"), fold=2, notes=("n",)),
    training=TrainingRecord(
        id="t",
        config={"settings": {"lr": 0.1, "on": True, "none": None}, "stages": [{"name": "train"}]},
        weights={"w": "random"},
        trained_on=TrainedOn("folder", n=16),
        chosen_epoch=3,
        validation={"auc": 0.9, "nll": None},
        without_clip={"too_short": 1},
        reused=True,
        environments=(Environment(threads=2), Environment(threads=1)),
    ),
    reported={"auc": 0.99},
    variant=(Caveat.DEMO_DATA,),
    caveats=(Caveat.DEMO_DATA, Caveat.FEW_CLUSTERS),
    seconds={"train": None, "evaluate": 1.25},
    environment=Environment(
        {"torch": "2"},
        "Linux",
        ("run",),
        Git("abc", True),
        threads=1,
        processor=Processor("CPU", "AVX2", {"torch": "MKL 2024.2"}, "3.12.0"),
        gpu=Gpu("GPU", "9.0", "13.0", "91000", True, True, True, True, False, ("put_",)),
        variables={"MKL_CBWR": "AVX2"},
    ),
    counts=Counts(11, 1, {"no_face": 1}, {"RARV": 12}, {"RARV": 1}, {"oracle": ClipCounts(11, 1)}),
    metrics={
        "oracle": {"video": {"auc": AUC, "ap": Measured(note="undefined")}},
        "sliding": {"clip": {}, "video": {"auc": AUC}},
    },
    confusion={"oracle": {"video": Confusion(("real", "fake"), ((3, 0), (1, 8)))}},
    ceilings={"oracle": {"video": Ceiling("video", 0.5, None)}},
    blind={"oracle": {"video": Blind("video", "FARV", 0.5, (0.4, 0.6), 6)}},
    perturbations=Robustness(
        "oracle",
        CommonVideos(11, 1),
        {"auc": AUC},
        {"jpeg": PerturbedType("JPEG", "video", levels={5: PerturbedLevel(64, Strength(12, 0, 25.5), {"auc": AUC})})},
    ),
    scores_sha256="00",
    made_of={"test data": "00", "avbench": "1"},
    changes="1 file",
    encoder=Encoder("e.safetensors", "00"),
    error="none",
)


def test_a_card_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    FULL.save(tmp_path / "run")
    assert Card.load(tmp_path / "run") == Card.load(tmp_path / "run" / "card.json") == FULL
    default = Card(id="x", detector=DetectorPart("d"), protocol=ProtocolRecord("p"))
    unset = [f.name for f in fields(Card) if getattr(FULL, f.name) == getattr(default, f.name)]
    assert sorted(unset) == ["clips_per_second", "device", "format", "task"], "this test leaves no other part out"
    unknown = replace(FULL, training=TrainingRecord(trained_on="unknown"))
    unknown.save(tmp_path / "unknown")
    assert Card.load(tmp_path / "unknown") == unknown


def test_what_is_no_number_becomes_null_and_a_failed_write_leaves_the_old_card(tmp_path: Path) -> None:
    odd = {"nan": math.nan, "inf": math.inf, "numpy": np.float64(0.5), "none": np.float32("nan")}
    replace(FULL, seconds=odd).save(tmp_path)
    written = (tmp_path / "card.json").read_text("utf-8")
    assert "NaN" not in written and "Infinity" not in written
    assert json.loads(written)["seconds"] == {"nan": None, "inf": None, "numpy": 0.5, "none": None}

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    with pytest.raises(RuntimeError):
        replace(FULL, seconds={"x": Broken()}).save(tmp_path)  # type: ignore[dict-item]
    assert (tmp_path / "card.json").read_text("utf-8") == written and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": 3, "id": "x"}', r"a card of format 3, this version reads up to 2; update avbench"),
        ('{"format": "new"}', r"not a card: its format is 'new'"),
        ('{"format": 0}', r"not a card: its format is 0"),
        ("[]", "it holds no object"),
        ("{", "not a card"),
        ('{"format": 1, "id": "x", "protocol": []}', "not a card of format 1"),
        ('{"format": 2, "detector": {"name": "d"}, "protocol": {"name": "p"}}', "missing required field `id`"),
        (
            '{"format": 2, "id": "x", "detector": {"name": "d"}, "protocol": {"name": "p"}, "seed": "one"}',
            r"Expected `int`, got `str` - at `\$\.seed`",
        ),
    ],
)
def test_what_is_no_card_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "card.json").write_text(text, "utf-8")
    with pytest.raises(UserError, match=message) as told:
        Card.load(tmp_path)
    assert "\n" not in str(told.value) and str(tmp_path) in str(told.value)
    with pytest.raises(UserError, match="no run here"):
        Card.load(tmp_path / "nowhere")


def test_the_headline_is_that_of_one_oracle_clip_a_video_where_there_is_one() -> None:
    assert [s.title for s in FULL.settings()] == ["sliding, per video", "sliding, per clip", "oracle, per video"]
    assert FULL.reported_setting() == Setting("oracle", "video") and FULL.headline("auc") == AUC
    assert FULL.headline("acc") is None and FULL.confusion_at(Setting("sliding", "video")) is None
    sliding = replace(FULL, metrics={"sliding": FULL.metrics["sliding"]})
    assert sliding.reported_setting() == Setting("sliding", "video")
    empty = replace(FULL, metrics={})
    assert empty.reported_setting() is None and empty.headline("auc") is None


def test_a_title_says_demo_first_and_names_the_cell() -> None:
    assert FULL.title == "DEMO DATA · Both · within_folder v1 · binary · seed 7" and FULL.is_demo
    real = replace(FULL, caveats=(), task="four_class")
    assert real.title == "Both · within_folder v1 · four-class · seed 7" and not real.is_demo


def test_caveats_with_and_without_a_parameter_are_texts() -> None:
    assert f"{Caveat.SELECTED_ON_TEST}, {limited_to(8)}" == "selected on test, limited to 8"
    assert above_ceiling("audio") == "AUC above the ceiling of audio alone"
    assert tells_unseen("video", Forgery.FARV) == "video alone tells FARV from RARV"


def test_a_protocol_s_record_loses_no_field() -> None:
    protocol = replace(PROTOCOL, strict_identity=True, trim_silence=True, select_on="test", title="T")
    assert ProtocolRecord.of(protocol, ("oracle",)).protocol() == replace(protocol, placements=("oracle",))
    assert {f.name for f in fields(Protocol)} == {f.name for f in fields(ProtocolRecord)} - {"digest"}


def test_a_training_s_record_and_the_note_of_given_weights_become_part_of_the_card() -> None:
    begun = replace(FULL, training=TrainingRecord(config={"a": 1}, weights={"w": "random"}))
    record = {
        "id": "t",
        "seed": 0,
        "trained_on": {"dataset": "d", "edition": "v2"},
        "validation_auc": 0.5,
        "reused": False,
    }
    training = with_training(begun, record).training
    assert training.config == {"a": 1} and training.id == "t" and training.validation == {"auc": 0.5}
    assert training.trained_on == TrainedOn("d", data_version="v2")
    assert with_training(begun, {"trained_on": "unknown", "checkpoint": "w"}).training.trained_on == "unknown"
    with pytest.raises(UserError, match=r"say of themselves cannot be read: .*trained_on"):
        with_training(begun, {"trained_on": {"dataset": 5}})
