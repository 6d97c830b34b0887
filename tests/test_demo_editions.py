"""Editions and difficulties of the demo data: nobody is in two, and a folder of one is never taken for another."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from avbench.analysis.subject import Subject
from avbench.bench.card import begin
from avbench.bench.resolving import ResolvedRun, resolve
from avbench.bench.seeds import usual_seeds
from avbench.bench.spec import RunSpec
from avbench.cli import main
from avbench.data.databases import Database, locate, read_roots
from avbench.data.lists import prepare
from avbench.errors import UserError
from avbench.plugins.registry import installed
from avbench.progress import silent
from avbench.types import MadeData
from avbench_demo import coded_faces, reader, speakers
from avbench_demo import make as making
from avbench_demo.difficulty import DIFFICULTIES
from avbench_demo.people import SEED
from avbench_demo.person import draw_person
from avbench_demo.plan import plan_scenes, plan_subjects
from avbench_demo.plugin import CHOICES, VERSION
from avbench_demo.recipe import EDITIONS, Edition, Recipe
from avbench_demo.stamp import made

HARD = {"version": VERSION, "difficulty": "hard", "edition": "tuning", "seed": 2024}
USUAL = HARD | {"difficulty": "medium", "edition": "published"}


@pytest.fixture
def copied(demo_root: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a function (stamp) -> a folder with the demo data's LAV-DF that says of itself what `stamp` says."""

    def copy(stamp: dict[str, Any] | None, name: str = "data") -> Path:
        folder = tmp_path / name / "LAV-DF"
        folder.mkdir(parents=True)
        for part in (demo_root / "LAV-DF").iterdir():
            if part.name != "demo.json":
                (folder / part.name).symlink_to(part)
        if stamp is not None:
            (folder.parent / "demo.json").write_text(json.dumps(stamp))
        return folder.parent

    return copy


def found(name: str, *data: str) -> Database:
    return locate(installed().dataset(name), read_roots(data), installed().datasets())


def resolved(data: Path | None) -> ResolvedRun:
    """Return a run within LAV-DF at `data`, with its lists."""
    protocol, roots = installed().protocol("within_lavdf"), {"": data} if data is not None else {}
    spec = RunSpec(detector="majority", protocol=protocol, task="binary", roots=roots)
    return resolve(spec, installed(), prepare(protocol, installed(), roots))


def test_nobody_is_in_two_editions_nor_among_the_demo_faces_and_speakers() -> None:
    # As lavdf_scenes, fakeav_subjects, coded_faces and speakers draw them.
    seeds = [[one.seed, style, 1000 + n] for one in EDITIONS.values() for style in (1, 2) for n in range(50)]
    seeds += [[SEED, coded_faces._STREAM, n, 1] for n in range(sum(coded_faces.PEOPLE.values()))]
    seeds += [[*speakers.seed_of(n), 1] for n in range(sum(speakers.PEOPLE.values()))]
    people = [draw_person(seed, True) for seed in seeds]
    assert len(people) == 856 and len({one.seed for one in EDITIONS.values()}) == len(EDITIONS)
    assert (
        len({(one.skin, one.half_width) for one in people}) == len({one.voice.tract for one in people}) == len(people)
    )


def test_editions_have_other_files_and_the_same_counts() -> None:
    one, other = (plan_scenes(edition) for edition in EDITIONS.values())
    assert [s.split for s in one] == [s.split for s in other] and [s.seconds for s in one] != [s.seconds for s in other]
    assert {s.names for s in one}.isdisjoint(s.names for s in other)
    mine, theirs = (plan_subjects(edition) for edition in EDITIONS.values())
    assert [len(s.takes) + len(s.fakes) for s in mine] == [len(s.takes) + len(s.fakes) for s in theirs]
    assert [s.identity for s in mine] != [s.identity for s in theirs]


def test_what_is_offered_is_what_can_be_made() -> None:
    choices, usual = dict(CHOICES), inspect.signature(making.make_demo).parameters
    assert set(choices["difficulty"]) == set(DIFFICULTIES) and set(choices["edition"]) == set(EDITIONS)
    assert all(usual[name].default == values[0] for name, values in CHOICES)
    assert choices["edition"][0] == "published" and choices["difficulty"][0] == "medium"
    assert all(name == one.name for known in (DIFFICULTIES, EDITIONS) for name, one in known.items())
    with pytest.raises(UserError, match="no difficulty called 'hrad'; did you mean 'hard'"):
        Recipe.named("hrad", "tuning")
    with pytest.raises(UserError, match="no edition called 'publish'; did you mean 'published'"):
        Recipe.named("hard", "publish")


@pytest.mark.parametrize(
    ("stamp", "said"),
    [
        (USUAL, MadeData(str(VERSION))),
        (HARD, MadeData(f"{VERSION}-hard-tuning", "hard, tuning edition")),
        (USUAL | {"difficulty": "easy"}, MadeData(f"{VERSION}-easy-published", "easy, published edition")),
        (USUAL | {"edition": "tuning"}, MadeData(f"{VERSION}-medium-tuning", "medium, tuning edition")),
        ({"version": 9, "seed": 2024}, MadeData("9", "version 9")),
        ({"pages": 3}, None),
        ([], None),
    ],
)
def test_a_folder_says_what_it_holds(stamp: Any, said: MadeData | None, tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text(json.dumps(stamp))
    assert made(tmp_path) == said and made(tmp_path / "absent") is None


def test_made_data_say_so_in_each_folder_and_are_made_once(tmp_path: Path, demo_root: Path) -> None:
    stamps = {(demo_root / name / "demo.json").read_text() for name in (".", "LAV-DF", "FakeAVCeleb_v1.2")}
    (text,) = stamps
    assert json.loads(text).items() >= {"version": VERSION, "difficulty": "medium", "edition": "published"}.items()
    hard, easy = Recipe.named("hard", "tuning"), Recipe.named("easy", "tuning")
    scenes = [replace(plan_scenes(hard.edition)[0], seconds=1.6)]
    subjects = [replace(one, takes=one.takes[:1], fakes=()) for one in plan_subjects(hard.edition)[:1]]
    root, changed = making.make(tmp_path / "one", scenes, subjects, hard, 1), []
    for recipe in (hard, easy):
        before = {path: path.read_bytes() for path in root.rglob("*.mp4")}
        stamp = root.stat().st_ino
        making.make(root, scenes, subjects, recipe, 1)
        changed.append((root.stat().st_ino != stamp, before != {p: p.read_bytes() for p in root.rglob("*.mp4")}))
    assert changed == [(False, False), (True, True)] and made(root) == MadeData(
        f"{VERSION}-easy-tuning", "easy, tuning edition"
    )


def test_what_is_no_demo_data_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    for place in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(UserError, match="would be lost"):
            making.make(place, [], [], Recipe.named("hard", "tuning"), 1)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_demo_data_are_known_wherever_they_lie(
    copied: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copied(HARD)
    (tmp_path / "link").symlink_to(root / "LAV-DF")
    given = [str(root), f"lavdf={root / 'LAV-DF'}", f"lavdf={tmp_path / 'link'}"]
    monkeypatch.chdir(root)
    for base in (found("lavdf", data) for data in (*given, ".", "lavdf=LAV-DF")):
        assert (base.demo, base.data_version, base.stands_in) == (True, f"{VERSION}-hard-tuning", False)
        assert base.title == "LAV-DF (demo data, hard, tuning edition)"
    base = found("folder", f"folder={root / 'LAV-DF' / 'test'}")
    assert base.title == "Own files (demo data)", "links lead to the usual demo data, whoever reads them"
    assert found("demo", str(root)).root == root and found("demo", f"demo={root}").choice == "hard, tuning edition"
    assert found("demo_faces", f"demo_faces={tmp_path}").demo, "rendered faces are never real"


def test_real_data_stay_real_and_what_cannot_be_read_is_told(copied: Callable[..., Path], tmp_path: Path) -> None:
    plain, others = copied(None, "plain"), copied({"pages": 3}, "others")
    for root in (plain, others):
        base = found("lavdf", str(root))
        assert (base.demo, base.title, base.data_version) == (False, "LAV-DF", "")
    (plain / "demo.json").write_text('{"version": 1')
    with pytest.raises(UserError, match=r"demo\.json cannot be read .* remove it"):
        found("lavdf", str(plain))


def test_runs_on_another_choice_are_other_runs_with_a_caveat(copied: Callable[..., Path]) -> None:
    runs = [resolved(data) for data in (None, copied(USUAL, "usual"), copied(HARD, "hard"), copied(None, "plain"))]
    stand_in, usual, hard, real = [(run.id, run.plan.id if run.plan else "") for run in runs]
    assert stand_in == usual and len({usual[0], hard[0], real[0]}) == len({usual[1], hard[1], real[1]}) == 3
    cards = [begin(run, "built in", "cpu") for run in runs]
    lists = [card.data.test for card in cards]
    assert [one.data_version for one in lists if one] == [str(VERSION), str(VERSION), f"{VERSION}-hard-tuning", ""]
    assert [card.is_demo for card in cards] == [True, True, True, False]
    assert cards[2].variant == ("demo data", "demo data: hard, tuning edition")
    assert cards[0].variant == cards[1].variant == ("demo data",) and cards[3].variant == ()


def test_one_database_of_each_choice_is_told(copied: Callable[..., Path], demo_root: Path) -> None:
    protocol = installed().protocol("cross_lavdf_to_fakeav")
    said: list[str] = []
    roots = read_roots([f"lavdf={copied(HARD)}/LAV-DF", f"fakeav={demo_root}/FakeAVCeleb_v1.2"])
    lists = prepare(protocol, installed(), roots, say=said.append)
    assert lists.demo_choice == "LAV-DF hard, tuning edition; FakeAVCeleb as usual"
    assert said[0].endswith("LAV-DF (demo data, hard, tuning edition)") and said[-1].endswith("v1.2 (demo data)")


def test_three_seeds_and_the_demo_preset_are_usual_on_given_demo_data(copied: Callable[..., Path]) -> None:
    plugins, data = installed(), copied(HARD)
    assert usual_seeds(plugins.protocol("within_lavdf"), plugins, {"": data}, silent) == (0, 1, 2)
    lists = prepare(plugins.protocol("within_lavdf"), plugins, {"": data})
    spec = RunSpec(detector="fauforensics", protocol=plugins.protocol("within_lavdf"), task="binary", roots={"": data})
    assert resolve(spec, plugins, lists).config.preset == "demo"


def test_truth_is_that_of_the_folder_that_was_judged(
    copied: Callable[..., Path], demo_root: Path, tmp_path: Path
) -> None:
    root = copied(HARD)
    run = resolved(root)
    subject, samples = Subject(tmp_path, begin(run, "built in", "cpu"), run), run.lists.split.test[:2]
    for name in ("FakeAVCeleb_v1.2", "truth"):
        (root / name).symlink_to(demo_root / name)
    for sample in subject.with_truth(samples):
        assert dict(sample.annotations)["au"] == root / "truth" / "LAV-DF" / Path(sample.id).with_suffix(".npz")
        assert dict(sample.annotations)["au"].is_file() and sample.dataset == "demo"
    (root / "demo.json").rename(root / "LAV-DF" / "demo.json")  # as a database that was copied alone
    alone = resolved(root)
    assert alone.lists.test.choice == "hard, tuning edition" and alone.id == run.id
    assert Subject(tmp_path, subject.card, alone).with_truth(samples) == list(samples)


@pytest.mark.parametrize("edition", EDITIONS.values())
def test_speakers_are_those_of_the_edition_in_the_folder(edition: Edition, demo_root: Path, tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text(json.dumps(HARD | {"edition": edition.name, "seed": edition.seed}))
    planned = {f"LAV-DF/{s.split}/{s.names[3]}": f"speaker{s.speaker:02d}" for s in plan_scenes(edition)}
    assert planned.items() <= reader._speakers(tmp_path).items()
    clusters = {sample.id: sample.cluster for sample in found("demo", f"demo={demo_root}").samples()}
    assert (planned.items() <= clusters.items()) == (edition.name == "published")


def test_the_command_makes_what_was_asked_for_where_it_belongs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[Path, str, str]] = []

    def make(root: Path, *, difficulty: str, edition: str, progress: Any) -> Path:
        asked.append((root, difficulty, edition))
        return root

    monkeypatch.setenv("AVBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(making, "make_demo", make)
    for words in (
        "",
        "--edition published",
        "--edition tuning",
        "--difficulty hard",
        f"--difficulty easy --out {tmp_path}/x",
    ):
        assert main(["data", "demo", *words.split()]) == 0
    assert asked == [
        (tmp_path / "demo", "medium", "published"),
        (tmp_path / "demo", "medium", "published"),
        (tmp_path / "demo-medium-tuning", "medium", "tuning"),
        (tmp_path / "demo-hard-published", "hard", "published"),
        (tmp_path / "x", "easy", "published"),
    ]
    for words, said in (
        ("demo --edition tunin", "did you mean 'tuning'"),
        ("check lavdf --difficulty hard", "goes with"),
    ):
        assert main(["data", *words.split()]) == 2
        assert said in capsys.readouterr().err
