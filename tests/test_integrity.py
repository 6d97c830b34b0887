"""Results never outlive their cause: data, code and weights are in every id, and files are held to their hashes."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from avbench.cli import main
from avbench.data import batches, inputs
from avbench.data.requests import ClipRequest
from avbench.engine.parts import Cause, Parts
from avbench.errors import UserError
from avbench.hashing import sha256
from avbench.plugins import code, registry
from avbench.records.card import Card
from avbench.records.card_parts import DataPart, DetectorPart, ProtocolRecord, Request
from avbench.records.inputs import InputList, changes
from avbench.records.measured import Measured
from avbench.records.run import SCORES
from avbench.records.run import Run as StoredRun
from avbench.report.tables import spread_table
from avbench.types import Forgery, MediaError, Reason, Sample

Command = Callable[..., list[str]]
Run = Callable[..., tuple[Card, Path]]
Out = pytest.CaptureFixture[str]
ONCE = ("--set", "epochs=1", "--placement", "oracle", "--workers", "0")


@pytest.fixture
def data(tiny: Path, tmp_path: Path) -> Path:
    """Return a copy of the small videos, which a test may change."""
    return Path(shutil.copytree(tiny, tmp_path / "data"))


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    found = []
    for k in range(4):
        path = tmp_path / f"{k}.mp4"
        path.write_bytes(bytes([k]) * 100)
        found.append(Sample(path.name, path, Forgery(k), "folder", "test", f"p{k}"))
    return found


def flip(path: Path, place: int = -40) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


FIELDS = {
    "forgery": (Forgery.FAFV, "1 label"),
    "fake_periods": (((1.0, 2.0),), "1 forged period"),
    "identity": ("somebody", "1 identity"),
    "other_identities": (("somebody",), "1 target"),
    "cluster": ("c", "1 cluster"),
    "stratum": ("s", "1 stratum"),
    "method": ("m", "1 method"),
    "split": ("train", "1 split"),
    "fps": (30.0, "1 length"),
    "frames": (7, "1 length"),
    "skip": (0.5, "1 length"),
}


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_of_a_sample_counts_and_is_named(samples: list[Sample], name: str) -> None:
    value, words = FIELDS[name]
    before = inputs.inputs_of(samples, inputs.by_stat)
    after = inputs.inputs_of([replace(samples[0], **{name: value}), *samples[1:]], inputs.by_stat)
    assert before.digest != after.digest and changes({"test": before}, {"test": after}) == words


def test_no_field_of_a_sample_is_forgotten() -> None:
    of_the_list = {"id", "path", "dataset", "annotations"}
    assert set(FIELDS) | of_the_list == set(Sample.__dataclass_fields__)


def test_files_count_by_size_and_time_or_by_content(samples: list[Sample], tmp_path: Path) -> None:
    before = inputs.inputs_of(samples, inputs.by_stat)
    by_content = inputs.inputs_of(samples, inputs.by_content(inputs.files_of(samples)))
    os.utime(samples[1].path, ns=(1, 1))
    touched = inputs.inputs_of(samples, inputs.by_stat)
    assert changes({"test": before}, {"test": touched}) == "1 file"
    assert by_content == inputs.inputs_of(samples, inputs.by_content(inputs.files_of(samples)))
    flip(samples[1].path)
    os.utime(samples[1].path, ns=(1, 1))  # as if nothing had been
    assert touched == inputs.inputs_of(samples, inputs.by_stat)
    found = inputs.inputs_of(samples, inputs.by_content(inputs.files_of(samples)))
    assert changes({"test": by_content}, {"test": found}) == "1 file"
    samples[2].path.unlink()
    gone = inputs.inputs_of(samples, inputs.by_stat)
    assert changes({"test": touched}, {"test": gone}) == "1 file" and gone.rows[2][-1] == inputs.MISSING
    fewer = inputs.inputs_of(samples[1:], inputs.by_stat)
    assert changes({"test": gone}, {"test": fewer}) == "1 video less"
    moved = {"train": inputs.inputs_of(samples[:1], inputs.by_stat), "test": fewer}
    assert changes({"test": gone}, moved) == "1 video in another list"
    other = InputList(tuple(reversed(gone.rows)))
    assert other.digest != gone.digest and changes({"test": gone}, {"test": other}) == "the order of the videos"


def test_demo_data_count_by_their_version_unless_somebody_changed_them(samples: list[Sample]) -> None:
    made_at = max(sample.path.stat().st_mtime_ns for sample in samples)
    stamp = inputs.of_demo("12", made_at)
    assert {row[-1] for row in inputs.inputs_of(samples, stamp).rows} == {"demo data 12"}
    os.utime(samples[0].path, ns=(made_at + 1, made_at + 1))
    assert [row[-1] == "demo data 12" for row in inputs.inputs_of(samples, stamp).rows] == [False, True, True, True]


def test_a_list_is_kept_once_and_read_again(samples: list[Sample], tmp_path: Path) -> None:
    one = inputs.inputs_of(samples, inputs.by_stat)
    one.save(tmp_path)
    one.save(tmp_path)
    assert InputList.load(tmp_path, one.digest) == one and len(list((tmp_path / "inputs").iterdir())) == 1
    flip(next((tmp_path / "inputs").iterdir()), 60)
    assert InputList.load(tmp_path, one.digest) is None and InputList.load(tmp_path, "0" * 64) is None


def test_code_is_the_file_its_package_and_what_they_import_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "coded_layers").mkdir()
    files = {
        "coded_plugin.py": "import json, torch, avbench\ndef forward():\n    from coded_layers.deep import twice\n",
        "coded_layers/__init__.py": "",
        "coded_layers/deep.py": "import coded_rest\ntwice = 2\n",
        "coded_layers/mean.csv": "1,2\n",
        "coded_rest.py": "x = 1\n",
        "coded_other.py": "nobody imports it\n",
    }

    def digest() -> str:
        code._digest.cache_clear()
        return code.module_code("coded_plugin")

    for name, text in files.items():
        (tmp_path / name).write_text(text)
    first = digest()
    assert first == code.module_code("coded_plugin")
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n")
        assert (digest() == first) == (name == "coded_other.py"), name
        (tmp_path / name).write_text(text.replace("\n", "\r\n"))
        assert digest() == first, "line ends are those of a checkout"
    (tmp_path / "coded_layers" / "README.md").write_text("words")
    assert digest() == first


def test_the_code_of_a_built_in_detector_holds_the_encoders_it_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    code._digest.cache_clear()
    seen: list[str] = []
    files = code._files
    monkeypatch.setattr(code, "_files", lambda name: [seen.append(name), *files(name)][1:])
    code.module_code("avbench_fauforensics.detector")
    assert {"avbench_fauforensics", "avbench_backbones"} <= set(seen)
    assert not {"torch", "numpy", "avbench", "json"} & set(seen)


def rows_of(requests: list[ClipRequest], reason: str = "") -> list[dict[str, object]]:
    return [
        {"id": r.sample.id, "forgery": 0, "placement": "oracle", "start": 0.0, "end": 1.0, "reason": reason}
        | {"score": None if reason else 0.5}
        for r in requests
    ]


def test_parts_of_another_cause_are_left_alone_and_those_of_the_same_taken_over(
    samples: list[Sample], tmp_path: Path
) -> None:
    requests = [ClipRequest(sample, sample.forgery, start=0.0) for sample in samples]
    groups = [[requests[:2]], [requests[2:]]]
    facts = {sample.id: sample.id for sample in samples}
    first = Parts(tmp_path / "a", groups, Cause(made_by="old code", videos=facts))
    for k in (0, 1):
        first.write(k, rows_of(groups[k][0]))
    assert first.find(0) is not None
    assert Parts(tmp_path / "a", groups, Cause(made_by="new code", videos=facts)).find(0) is None
    mended = Cause(made_by="old code", videos={**facts, samples[3].id: "mended"}, elsewhere=(tmp_path / "a",))
    second = Parts(tmp_path / "b", groups, mended)
    assert second.find(0) is not None and second.find(1) is None
    placed = [[[replace(requests[0], start=0.5), requests[1]]], groups[1]]
    assert Parts(tmp_path / "a", placed, first.cause).find(0) is None, "another clip"
    flip(next((tmp_path / "a").glob("000001-*")))
    assert first.find(1) is None and len(list((tmp_path / "a").iterdir())) == 1


def test_failures_that_may_have_passed_are_tried_again(samples: list[Sample], tmp_path: Path) -> None:
    requests = [ClipRequest(sample, sample.forgery, start=0.0) for sample in samples]
    groups = [[requests]]

    def kept(reason: Reason, again: tuple[Reason, ...] | None = None) -> bool:
        cause = Cause() if again is None else Cause(again=again)
        parts = Parts(tmp_path / "parts", groups, cause)
        parts.write(0, rows_of(requests[1:]) + rows_of(requests[:1], str(reason)))
        return parts.find(0) is not None

    assert kept(Reason.UNREADABLE) and not kept(Reason.UNREADABLE, tuple(Reason))
    assert not kept(Reason.DECODER_TIMEOUT) and not kept(Reason.MISSING_FILE), "the file is there now"
    samples[0].path.unlink()
    assert kept(Reason.MISSING_FILE) and kept(Reason.NO_FACE)


def test_what_changed_is_told_and_makes_a_new_run(
    small_run: Run, small_command: Command, data: Path, tmp_path: Path, capsys: Out
) -> None:
    out = tmp_path / "out"
    first, folder = small_run(out, *ONCE, data=data)
    capsys.readouterr()
    assert small_run(out, *ONCE, data=data)[0].id == first.id and "finished before" in capsys.readouterr().out

    os.utime(data / "person6_RAFV.mp4", ns=(1, 1))
    touched, _ = small_run(out, *ONCE, data=data)
    told = capsys.readouterr().out
    assert f"data of within_folder changed since run {first.id}: 1 file; a new run starts, the old one stays" in told
    assert touched.id != first.id and touched.training.id == first.training.id and touched.changes in told
    assert (folder / "card.json").is_file()

    labels = data / "labels.csv"
    labels.write_text(labels.read_text().replace("person0_RAFV.mp4,RAFV", "person0_RAFV.mp4,FAFV"))
    mended, _ = small_run(out, *ONCE, data=data)
    told = capsys.readouterr().out
    assert f"since run {touched.id}: 1 label" in told and "used again" not in told
    assert mended.training.id != first.training.id and mended.id not in (first.id, touched.id)

    moved = Path(shutil.copytree(data, tmp_path / "moved"))  # with its times
    assert small_run(out, *ONCE, data=moved)[0].id == mended.id and "finished before" in capsys.readouterr().out


def test_a_changed_detector_is_another_training(
    small_command: Command, data: Path, tmp_path: Path, capsys: Out
) -> None:
    plugin, out = tmp_path / "small_mended.py", tmp_path / "out"
    text = Path(__file__).with_name("small_detector.py").read_text("utf-8")

    def run_with(source: str) -> tuple[Card, str]:
        plugin.write_text(source.replace('name="small"', 'name="small_mended"'))
        registry.installed.cache_clear()  # as a new process would
        code._digest.cache_clear()
        words = small_command(out, *ONCE, "--detector", "small_mended", data=data)
        words[words.index("--plugin") + 1] = str(plugin)
        before = {path.name for path in (out / "runs").glob("*")}
        assert main(words) == 0
        made = {path.name for path in (out / "runs").glob("*")} - before
        printed = capsys.readouterr().out
        return Card.load(out / "runs" / (made or before).pop()), printed

    first, _ = run_with(text)
    second, told = run_with(text.replace("/ 16", "/ 15"))
    assert second.id != first.id and second.training.id != first.training.id
    assert f"code of small_mended changed since run {first.id}" in told
    _, told = run_with(text)
    assert "finished before" in told
    registry.installed.cache_clear()
    sys.modules.pop("avbench_file_small_mended", None)


def test_a_flipped_byte_is_found_wherever_it_is_read(
    small_run: Run, small_command: Command, data: Path, tmp_path: Path, capsys: Out
) -> None:
    out = tmp_path / "out"
    card, folder = small_run(out, *ONCE, data=data)
    weights = out / "trainings" / card.training.id / "weights.safetensors"
    assert card.training.files["weights.safetensors"] == sha256(weights)
    assert main(["report", "--verify", str(out)]) == 0
    good = {path: path.read_bytes() for path in (folder / SCORES, weights, weights.with_name("validation.csv"))}
    for path, content in good.items():
        flip(path, len(content) // 2)
        capsys.readouterr()
        assert main(["report", "--verify", str(out)]) == 1 and path.name in capsys.readouterr().out
        path.write_bytes(content)
    assert main(["report", "--verify", str(out)]) == 0
    flip(folder / SCORES)
    with pytest.raises(UserError, match="not what was measured"):
        _ = StoredRun.read(folder).scores
    assert main(small_command(out, *ONCE, data=data)) == 2 and "--fresh" in capsys.readouterr().err
    flip(weights)
    assert main(small_command(out, *ONCE, "--fresh", data=data)) == 2
    assert "--fresh-training" in capsys.readouterr().err
    anew, again = small_run(out, *ONCE, "--fresh-training", data=data)
    assert anew.id == card.id and (again / SCORES).read_bytes() == good[folder / SCORES]

    copied = Path(shutil.copytree(again, tmp_path / "elsewhere" / "runs" / card.id))
    assert len(StoredRun.read(copied).scores) == 12 and main(["report", "--verify", str(tmp_path / "elsewhere")]) == 0
    shutil.move(again, again.with_name("aside"))
    other = small_run(out, *ONCE, "--limit", "8", data=data)[1]
    shutil.rmtree(other)
    shutil.move(out / "runs" / "aside", other)
    capsys.readouterr()
    assert main(small_command(out, *ONCE, "--limit", "8", data=data)) == 2
    assert f"holds run {card.id}" in capsys.readouterr().err


def test_files_that_come_back_are_measured_and_nothing_else(
    small_run: Run, small_command: Command, tiny: Path, data: Path, tmp_path: Path, capsys: Out
) -> None:
    words = (*ONCE, "--set", "eval_batch=1")
    whole, reference = small_run(tmp_path / "reference", *words, data=data)
    out, away = tmp_path / "out", data / "person7_FAFV.mp4"
    away.rename(tmp_path / "away.mp4")
    less, folder = small_run(out, *words, data=data)
    assert less.counts.reasons == {"missing_file": 1} and less.training.id == whole.training.id
    capsys.readouterr()
    small_run(out, *words, data=data)
    assert "finished before" in (told := capsys.readouterr().out) and "missing_file 1" in told
    (tmp_path / "away.mp4").rename(away)
    again, mended = small_run(out, *words, data=data)
    assert again.id == whole.id and "1 file" in capsys.readouterr().out
    assert (mended / SCORES).read_bytes() == (reference / SCORES).read_bytes()
    assert not (mended / "parts").exists() and (folder / "card.json").is_file()


def test_clips_that_took_too_long_are_judged_again_in_their_run(
    small_run: Run, data: Path, tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, read = tmp_path / "out", batches.load_clips

    def slow(requests: tuple[ClipRequest, ...], **more: object) -> object:
        if requests[0].sample.id == "person7_FAFV.mp4":
            raise MediaError(Reason.DECODER_TIMEOUT, "loading took longer")
        return read(requests, **more)

    monkeypatch.setattr("avbench.data.loading.load_clips", slow)
    first, folder = small_run(out, *ONCE, data=data)
    assert first.counts.reasons == {"decoder_timeout": 1} and (folder / "parts").is_dir()
    monkeypatch.undo()
    again, same = small_run(out, *ONCE, data=data)
    assert (
        same == folder and again.counts.unscored == 0 and "tried again (decoder_timeout 1)" in capsys.readouterr().out
    )
    assert not (folder / "parts").exists() and again.training.reused


def test_a_fresh_run_keeps_its_training(small_run: Run, data: Path, tmp_path: Path, capsys: Out) -> None:
    card, _ = small_run(tmp_path, *ONCE, data=data)
    record = tmp_path / "trainings" / card.training.id / "training.json"
    before = record.stat().st_mtime_ns
    capsys.readouterr()
    assert small_run(tmp_path, *ONCE, "--fresh", data=data)[0].training.reused
    assert "is kept (--fresh-training" in capsys.readouterr().out and record.stat().st_mtime_ns == before
    assert not small_run(tmp_path, *ONCE, "--fresh-training", data=data)[0].training.reused
    assert record.stat().st_mtime_ns > before and "made_of" in json.loads(record.read_text())


def test_tables_never_mix_runs_of_two_codes_or_data() -> None:
    def card(seed: int, **made_of: str) -> Card:
        metrics = {"oracle": {"video": {"acc": Measured(0.5), "auc": Measured(0.5)}}}
        common = {"detector": DetectorPart("small"), "protocol": ProtocolRecord("within_folder")}
        made = {"code of small": "a", "test data": "b"} | {k.replace("_", " "): v for k, v in made_of.items()}
        return Card(id=f"{seed}-{made}", status="finished", seed=seed, made_of=made, metrics=metrics, **common)

    def groups(*cards: Card) -> list[str]:
        return [row[4] for row in spread_table(cards).rows]

    assert groups(card(0), card(1), card(2)) == ["3"]
    assert groups(card(0), card(1), card(2, code_of_small="other")) == ["2"]
    assert groups(card(0), card(1), card(2, test_data="other")) == ["2"]
    limited = [replace(card(k, test_data=str(k)), request=Request(limit=4)) for k in range(3)]
    assert groups(*limited) == ["3"], "drawn by seed"
    assert groups(*(replace(card(k, test_data=str(k)), data=DataPart(fold=k)) for k in (1, 2))) == ["2"]


def test_scores_of_another_framework_follow_the_list(data: Path, tmp_path: Path, capsys: Out) -> None:
    listed = tmp_path / "test.csv"
    base = ["--data", f"folder={data}"]
    assert main(["export-list", "within_folder", *base, "--out", str(listed)]) == 0
    rows = pd.read_csv(listed).assign(score=0.5)
    rows[["id", "score"]].to_csv(tmp_path / "scores.csv", index=False)
    judge = ["evaluate", "--scores", str(tmp_path / "scores.csv"), "--protocol", "within_folder", *base]
    judge += ["--out", str(tmp_path)]
    assert main(judge) == 0 == main(judge)
    assert len(list((tmp_path / "runs").iterdir())) == 1
    labels = data / "labels.csv"
    labels.write_text(labels.read_text().replace("person7_RAFV.mp4,RAFV", "person7_RAFV.mp4,FAFV"))
    capsys.readouterr()
    assert main(judge) == 0 and "1 label" in capsys.readouterr().out
    assert len(list((tmp_path / "runs").iterdir())) == 2
