"""A fourth demo database, of many real people who talk, with all that is known of their lips and their sound.

Its people are in none of the others, and nobody is forged. Encoders learn from it what LRW, Kinetics and the speech
that Whisper heard teach elsewhere. Some of it went through beauty filters and speech codecs, and people
articulate more or less, so that what an encoder says of lips and speech does not depend on either.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from avbench.series import Series
from avbench.types import Sample
from avbench_demo import fakeav_subjects, forge, lavdf_scenes
from avbench_demo.cloning import flattened, mel_vocoder, processed, pulse_vocoder
from avbench_demo.encoding import encode_sound, encode_video, join
from avbench_demo.faces import Face
from avbench_demo.labels import MOVES, PHONEME_NAMES, PITCHES, SHIFTS, THRESHOLDS
from avbench_demo.people import SEED, list_people, make_people
from avbench_demo.performance import AU_NAMES, FPS, perform
from avbench_demo.person import draw_person
from avbench_demo.phonemes import say
from avbench_demo.portrait import paint_portrait
from avbench_demo.recording import LOCAL_STYLE, WHOLE_STYLE, film, hear, loudness_gain
from avbench_demo.spectra import RATE
from avbench_demo.speech import STEP, speak

VERSION = 1  # raise when anything that is written changes
PEOPLE = {"train": 320, "validation": 32, "test": 48}
FRAMES = (60, 75)  # of a video, fewest and most
FILTERED, CODED = 0.6, 0.6  # shares of pictures and sounds
MUMBLED = 0.25  # at most
VOICED = 0.12  # voicing from which there are pulses
_STREAM = 4  # keeps the draws apart from those of the other databases
# How a recording looks and sounds, in turn, and what filters and codecs leave there as in the database of that style.
_KINDS = (
    (LOCAL_STYLE, lavdf_scenes.LIPS_SEAM, lavdf_scenes.LIPS_MASK, pulse_vocoder),
    (WHOLE_STYLE, fakeav_subjects.LIPS_SEAM, fakeav_subjects.LIPS_MASK, mel_vocoder),
)
Array = NDArray[np.float32]


def make_speakers(root: Path, *, progress: Callable[[int, int], None] | None = None, people: int | None = None) -> Path:
    """Make `root`/P000.mp4 and `root`/P000.npz of each person unless they are there; return root.

    people: how many, by default all.
    """
    count = people or sum(PEOPLE.values())
    return make_people(root, _make_one, stamp="speakers.json", version=VERSION, people=count, progress=progress)


def seed_of(number: int) -> list[int]:
    """Return what every draw of a person begins with."""
    return [SEED, _STREAM, number]


def _make_one(number: int, folder: Path) -> None:
    style, seam, mask, vocoder = _KINDS[number % 2]
    seed = seed_of(number)
    person = draw_person([*seed, 1], woman=number // 2 % 2 == 1)
    random = np.random.default_rng([*seed, 2])
    seconds = int(random.integers(FRAMES[0], FRAMES[1] + 1)) / FPS
    coded, filtered = (share_of(random, chance) for chance in (CODED, FILTERED))
    mumbled = random.uniform(0.0, MUMBLED)

    sentence = say(np.random.default_rng([*seed, 3]), seconds, person.voice.pace)
    speech = speak(sentence, person.voice, [*seed, 4], mumbled)
    clean = processed(speech, vocoder, coded, [*seed, 5])
    sound = encode_sound(hear(clean, loudness_gain(clean, [*seed, 6]), style, [*seed, 7]))

    seen = perform(sentence, speech.accent, [*seed, 8], mumbled=mumbled)
    plain = Face(paint_portrait(person, style.studio, [*seed, 9]), person).act(seen)
    frames = forge.paste(plain, plain, seen.head, mask, seam.at(filtered), [*seed, 10], membrane=False)
    video = encode_video(film(frames, style, [*seed, 11]), style.crf, style.preset)
    join(video, sound, folder / f"P{number:03d}.mp4")
    middle = (np.arange(len(frames)) + 0.5) * RATE // (STEP * FPS)  # of each frame, in steps of pitch and voicing
    pitch = speech.pitch if coded < 0.5 else flattened(speech.pitch)  # that of the louder part
    np.savez(
        folder / f"P{number:03d}.npz",
        au=seen.au.astype(np.float32),
        au_names=np.array(AU_NAMES),
        rounding=seen.rounding.astype(np.float32),
        blink=seen.blink.astype(np.float32),
        head=seen.head.astype(np.float32),
        pitch=pitch[middle.astype(int)].astype(np.float32),
        voicing=speech.voicing[middle.astype(int)].astype(np.float32),
        phonemes=np.array(sentence.phonemes),
        phoneme_times=np.array(sentence.phoneme_times, np.float64),
    )


def share_of(random: np.random.Generator, chance: float) -> float:
    """Draw a strength: uniform in 0 to 1 with this chance, else 0."""
    strength, chosen = random.random(2)
    return float(strength) if chosen < chance else 0.0


def scan(root: Path) -> list[Sample]:
    """Return a sample for each person; the first ones are for training, the last for the test."""
    return list_people(root, PEOPLE, ("speech", "lips"), _count_frames)


def _count_frames(truth: Path) -> int:
    with np.load(truth, allow_pickle=False) as known:
        return len(known["au"])


def read_speech(path: Path) -> Series:
    """Read what is heard of a person, (T,40) in the order of `labels.SPEECH`: 1 or 0, nan where it does not apply.

    What counts is the middle of a frame. Pitch is known where there is voice, its move where there was at the frame
    before too.
    """
    with np.load(path, allow_pickle=False) as known:
        spoken = spoken_at(known["phonemes"], known["phoneme_times"], len(known["au"]))
        pitch, voiced = known["pitch"], known["voicing"] > VOICED
    heard = np.where(voiced, pitch, np.nan)
    moved = np.abs(np.diff(np.log2(heard), prepend=np.nan))
    columns = [spoken == name for name in PHONEME_NAMES]
    columns += [voiced, *(_over(heard, hertz) for hertz in PITCHES), *(_over(moved, octaves) for octaves in MOVES)]
    return Series.of_frames(np.stack(columns, axis=1).astype(np.float32), FPS)


def read_lips(path: Path) -> Series:
    """Read what is seen of a person, (T,32) in the order of `labels.LIPS`: by how much each threshold is exceeded."""
    with np.load(path, allow_pickle=False) as known:
        seen: dict[str, NDArray[Any]] = dict(zip(AU_NAMES, known["au"].T, strict=True))
        seen |= {"rounding": known["rounding"], "blink": known["blink"]}
        aside, down = known["head"][:, 0], known["head"][:, 1]
    seen["lips_move"] = _spread(seen["AU25"] + seen["AU26"], 9)
    seen |= dict(zip(SHIFTS, (-aside, aside, -down, down), strict=True))
    columns = [seen[name] - least for name, thresholds in THRESHOLDS.items() for least in thresholds]
    return Series.of_frames(np.stack(columns, axis=1), FPS)


def spoken_at(phonemes: NDArray[np.str_], times: NDArray[np.float64], frames: int) -> NDArray[np.str_]:
    """Return the phoneme (T,) in the middle of each frame."""
    middle = (np.arange(frames) + 0.5) / FPS
    row = np.minimum(np.searchsorted(times[:, 1], middle, side="right"), len(phonemes) - 1)
    return np.asarray(phonemes[row])


def _spread(values: NDArray[Any], frames: int) -> NDArray[Any]:
    """Return the standard deviation (T,) over the frames around each; ends are held."""
    mean, mean_square = (uniform_filter1d(power, frames, mode="nearest") for power in (values, values**2))
    return np.asarray(np.sqrt(np.maximum(mean_square - mean**2, 0.0)))


def _over(values: NDArray[Any], least: float) -> NDArray[Any]:
    return np.where(np.isnan(values), np.nan, values > least)
