"""Who appears, in which files: everything that is decided before anything is rendered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avbench_demo.recipe import Edition

LAVDF, FAKEAV = "LAV-DF", "FakeAVCeleb_v1.2"  # folders
RACES = ("African", "Asian (East)", "Asian (South)", "Caucasian (American)", "Caucasian (European)")
TYPES = {"A": "RealVideo-RealAudio", "B": "RealVideo-FakeAudio", "C": "FakeVideo-RealAudio", "D": "FakeVideo-FakeAudio"}
GENDERS = ("men", "women")
SPLITS = {"train": 16, "dev": 4, "test": 10}  # speakers
_LETTERS = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"))


@dataclass(frozen=True, slots=True)
class Scene:
    """One original of LAV-DF and its three edits; `names` are the files of RARV, RAFV, FARV and FAFV, in that order."""

    number: int
    split: str
    speaker: int
    woman: bool
    seconds: float
    names: tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Fake:
    """One manipulated video of FakeAVCeleb: which take it starts from and, for a face swap, whose face comes in."""

    method: str
    category: str
    take: int
    name: str
    target1: str = "-"
    target2: str = "-"
    donor: int = -1


@dataclass(frozen=True, slots=True)
class Subject:
    """One identity of FakeAVCeleb with real takes (file name, seconds) and fakes."""

    number: int
    identity: str
    race: str
    woman: bool
    takes: tuple[tuple[str, float], ...]
    fakes: tuple[Fake, ...]

    @property
    def gender(self) -> str:
        """Name of the folder level."""
        return GENDERS[int(self.woman)]


def plan_scenes(edition: Edition) -> list[Scene]:
    """Two scenes a speaker; file numbers are drawn without order, as in the official set."""
    random = np.random.default_rng([edition.seed, 1])
    speakers = [split for split, count in SPLITS.items() for _ in range(count)]
    numbers = random.permutation(136_304)[: 8 * len(speakers)].reshape(-1, 4)
    return [
        Scene(
            number=number,
            split=speakers[number // 2],
            speaker=number // 2,
            woman=bool(number // 2 % 2),
            seconds=_seconds(random, number),
            names=tuple(f"{name:06d}.mp4" for name in numbers[number]),  # type: ignore[arg-type]
        )
        for number in range(2 * len(speakers))
    ]


def plan_subjects(edition: Edition) -> list[Subject]:
    """Five identities in each of ten strata; four of five have two real takes."""
    random = np.random.default_rng([edition.seed, 2])
    strata = [(race, woman) for _ in range(5) for race in RACES for woman in (False, True)]
    identities = [f"id{number:05d}" for number in random.permutation(9_000)[: len(strata)]]
    subjects = []
    for number, (race, woman) in enumerate(strata):
        clips = random.permutation(500)[:2]
        length = 1 if number // 10 == number % 5 else 2
        takes = tuple((f"{clip:05d}.mp4", _seconds(random, number)) for clip in clips[:length])
        same_sex = [other for other, (_, sex) in enumerate(strata) if sex == woman and other != number]
        fakes = _fakes(random, number, identities, [f"{clip:05d}" for clip in clips[:length]], same_sex)
        subjects.append(Subject(number, identities[number], race, woman, takes, tuple(fakes)))
    return subjects


def _fakes(
    random: np.random.Generator, number: int, identities: list[str], clips: list[str], same_sex: list[int]
) -> list[Fake]:
    """One B, one or two C and one or two D, their methods dealt out in turn."""
    own = identities[number]
    swaps = ("wav2lip", "fsgan", "faceswap")
    both = ("wav2lip", "faceswap-wav2lip", "fsgan-wav2lip")
    turn = number + number // 10
    fakes = [Fake("rtvc", "B", turn % len(clips), f"{clips[turn % len(clips)]}_fake.mp4")]
    wanted = [(swaps[turn % 3], "C"), (both[(turn + 1) % 3], "D")]
    if number % 2:
        wanted += [(swaps[(turn + 1) % 3], "C")] if turn % 4 < 2 else [(both[(turn + 2) % 3], "D")]
    for place, (method, category) in enumerate(wanted):
        take = (turn + place) % len(clips)
        donor = same_sex[int(random.integers(len(same_sex)))]
        origin = f"{identities[donor]}_{''.join(random.choice(_LETTERS, 11))}"
        clip = clips[take]
        if method == "wav2lip":
            fakes.append(Fake(method, category, take, f"{clip}_{own}_wavtolip.mp4", own))
            continue
        tag = "_faceswap" if method.startswith("faceswap") else ""
        end = f"_{own}_wavtolip" if category == "D" else ""
        target2 = own if category == "D" else "-"
        fakes.append(Fake(method, category, take, f"{clip}_{origin}{tag}{end}.mp4", identities[donor], target2, donor))
    return fakes


def _seconds(random: np.random.Generator, number: int) -> float:
    """Length of a video in whole frames: 3.2 to 4.2 s, for one source in eight 1.5 to 3.2 s."""
    low, high = (1.5, 3.2) if number % 8 == 0 else (3.2, 4.2)
    return round(random.uniform(low, high) * 25) / 25
