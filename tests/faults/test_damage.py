"""Results that were tampered with, cards and states that are damaged: found, refused in one line, never believed."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avbench.bench.again import asked_again
from avbench.bench.run import measured
from avbench.engine.parts import Cause, Parts
from avbench.engine.state import History, Position, TrainingState
from avbench.errors import UserError
from avbench.hashing import sha256
from avbench.plugins.registry import installed
from avbench.records import scores
from avbench.records.card import Card
from avbench.records.card_file import NAME
from avbench.records.card_parts import DetectorPart, ProtocolRecord, Request, TrainingRecord
from avbench.records.run import SCORES, Run
from avbench.records.training import RECORD, FinishedTraining
from avbench.report import verifying
from avbench.report.tables import summary, terminal
from avbench.report.verifying import verify_run
from faults.counting import SHARE, Tally, times
from faults.test_fuzzed_input import Outcomes, anything, damaged, values


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run of 48 videos, measured and written."""
    chance, number = np.random.default_rng(0), np.arange(48)
    table = scores.coerce(
        pd.DataFrame(
            {
                "id": [f"video/{k:03d}.mp4" for k in number],
                "cluster": [f"p{k // 4}" for k in number],
                "forgery": number % 4,
                "placement": "oracle",
                "start": 0.0,
                "end": 1.0,
                "score": np.clip(0.3 * (number % 4 > 0) + 0.7 * chance.random(48), 0, 1),
            }
        )
    )
    name = "chance-within_folder-binary-s0-00000000"
    card = Card(
        id=name,
        status="finished",
        detector=DetectorPart("chance", version="1"),
        protocol=ProtocolRecord("within_folder", train="folder", test="folder", placements=("oracle",)),
        training=TrainingRecord(threshold=0.4),
        request=Request(overrides=("epochs=1",), data={"": "/data"}),
    )
    folder = tmp_path_factory.mktemp("results") / "runs" / name
    folder.mkdir(parents=True)
    scores.write(table, folder / SCORES, {"run": name, "task": "binary", "threshold": 0.4})
    card = replace(measured(card, table, installed()), scores_sha256=sha256(folder / SCORES))
    card.save(folder)
    return Run(card, folder)


@pytest.fixture
def run(finished: Run, tmp_path: Path) -> Run:
    return Run.read(shutil.copytree(finished.folder, tmp_path / "runs" / finished.id))


def test_every_flipped_bit_of_scores_is_found(run: Run, tally: Tally) -> None:
    path, noted = run.folder / SCORES, run.card.scores_sha256
    good = path.read_bytes()
    bits = len(good) * 8
    count = min(times(400, bits), bits)
    for bit in random.Random(0).sample(range(bits), count):
        data = bytearray(good)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        with pytest.raises(UserError, match="not what was measured"):
            scores.read(path, noted)
    tally(f"Flipped bits of scores.parquet ({bits:,} there are), read with the card", count, "each refused")
    for bit in random.Random(1).sample(range(bits), times(2, 200)):
        data = bytearray(good)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        assert verify_run(run, installed()), bit
    tally("Flipped bits of scores.parquet, `report --verify`", times(2, 200), "each found")


def numbers(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where the numbers of plain values are."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from numbers(one, (*place, key))
    if isinstance(value, int | float):
        yield place


def flipped(value: float, bit: int) -> float:
    """Return a number with one bit flipped: of the double that it is, or of a whole number."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value ^ (1 << bit % 16)
    return float((np.array(value).view(np.uint64) ^ np.uint64(1 << bit)).view(np.float64))


def test_every_number_of_a_card_is_recomputed(run: Run, tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    again = measured(run.card, run.scores, installed())
    monkeypatch.setattr(verifying, "measured", lambda *arguments: again)  # a pure function, and the slow part of it
    card = json.loads((run.folder / NAME).read_text("utf-8"))
    places = [(part, *place) for part in verifying.MEASURED for place in numbers(card.get(part))]
    assert len(places) > 50
    chance = random.Random(0)
    tried = 0
    for place in places if SHARE >= 1 else chance.sample(places, times(12, len(places))):
        *above, last = place
        changed = json.loads(json.dumps(card))
        holder = changed
        for key in above:
            holder = holder[key]
        value = holder[last]
        # Bits below 2**-40 of a number are within what another processor may compute.
        holder[last] = flipped(value, chance.randrange(14, 52))
        if isinstance(value, float) and abs(holder[last] - value) <= verifying.TOLERANCE:
            continue
        tried += 1
        (run.folder / NAME).write_text(json.dumps(changed), "utf-8")
        try:
            found = verify_run(Run.read(run.folder), installed())
        except UserError:
            continue
        assert found, place
    tally(
        f"Flipped bits of a card's measured numbers ({len(places)} there are), `report --verify`", tried, "each found"
    )


def readers(run: Run) -> Callable[[], object]:
    """Return what reads a card in every way that commands do, short of computing."""

    def read() -> object:
        found = Run.read(run.folder)
        for attempt in (
            lambda: terminal(found.card),
            lambda: summary([found.card]),
            lambda: asked_again(found, installed()),
        ):
            try:
                attempt()
            except UserError as error:
                assert "\n" not in str(error)
        return found

    return read


def test_cards_that_hold_anything(run: Run, tally: Tally) -> None:
    path, outcome = run.folder / NAME, Outcomes()
    good = path.read_bytes()
    card = json.loads(good)
    keys = [*card, *((part, key) for part in card if isinstance(card[part], dict) for key in card[part])]

    @anything
    @given(changes=st.lists(st.tuples(st.sampled_from(keys), values), min_size=1, max_size=2))
    def fields(changes: list[tuple[Any, Any]]) -> None:
        changed = json.loads(good)
        for key, value in changes:
            if isinstance(key, str):
                changed[key] = value
            elif isinstance(changed.get(key[0]), dict):
                changed[key[0]][key[1]] = value
        path.write_bytes(json.dumps(changed).encode("utf-8", "surrogatepass"))
        outcome(readers(run))

    @anything
    @given(raw=damaged(good))
    def raw_bytes(raw: bytes) -> None:
        path.write_bytes(raw)
        outcome(readers(run))

    fields()
    raw_bytes()
    tally("Fuzzed: cards (read, shown, asked again)", outcome.tried, str(outcome))


def test_records_of_trainings_that_hold_anything(tmp_path: Path, tally: Tally) -> None:
    outcome = Outcomes()
    record = FinishedTraining(
        id="a", about={"detector": "x"}, chosen_epoch=1, selected_on="auc", seconds=1.0, clips_per_second=2.0,
        parameters=3, trainable=3, files={"weights.safetensors": "0" * 64},
    )  # fmt: skip
    record.save(tmp_path)
    good = (tmp_path / RECORD).read_bytes()

    @anything
    @given(raw=damaged(good) | st.dictionaries(st.sampled_from([*json.loads(good), "x"]), values, max_size=4).map(
        lambda changes: json.dumps(json.loads(good) | changes).encode("utf-8", "surrogatepass")
    ))  # fmt: skip
    def read(raw: bytes) -> None:
        (tmp_path / RECORD).write_bytes(raw)
        outcome(lambda: FinishedTraining.load(tmp_path))

    read()
    tally("Fuzzed: records of trainings", outcome.tried, str(outcome))


def test_damaged_states_are_left_for_the_one_before(tmp_path: Path, tally: Tally) -> None:
    for step in (1, 2):
        TrainingState(
            position=Position(0, 0, step), model={"w": torch.arange(3.0)}, frozen={}, optimizer=None, schedule=None,
            scaler={}, history=History(saves=step),
        ).save(tmp_path)  # fmt: skip
    path = max(tmp_path.glob("state-*.pt"))
    good, count, chance = path.read_bytes(), times(40, 3_000), random.Random(0)
    for _ in range(count):
        data = bytearray(good)
        if chance.random() < 0.8:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        else:
            del data[chance.randrange(len(data)) :]
        path.write_bytes(data)
        found = TrainingState.load(tmp_path)
        assert found is not None and found.position.step == 1
    tally("Damaged states of a training", count, "each found; the state before it serves")


def test_damaged_parts_are_made_again(tmp_path: Path, tally: Tally) -> None:
    parts = Parts(tmp_path, [[[]]], Cause(made_by="x"))
    row = {"id": "a", "identity": "a", "cluster": "a", "forgery": 0, "clip_forgery": 0, "placement": "oracle",
           "start": 0.0, "end": 1.0, "score": 0.5, "reason": ""}  # fmt: skip
    parts.write(0, [row])
    (path,) = tmp_path.glob("*.parquet")
    good, count, chance = path.read_bytes(), times(40, 3_000), random.Random(0)
    for _ in range(count):
        data = bytearray(good)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        assert parts.read(0) is None and not path.exists()
    tally("Damaged parts of an evaluation", count, "each found and made again")
