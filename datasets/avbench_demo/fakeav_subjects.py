"""Make the videos of one identity of FakeAVCeleb: real takes, a cloned voice, re-made lips, exchanged faces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avbench_demo import forge
from avbench_demo.cloning import imitate, mel_vocoder, processed
from avbench_demo.difficulty import drawn
from avbench_demo.encoding import encode_sound, encode_video, join
from avbench_demo.faces import Face
from avbench_demo.performance import Performance, mouth, mouth_of, perform, with_mouth
from avbench_demo.person import draw_person
from avbench_demo.phonemes import Sentence, say
from avbench_demo.plan import FAKEAV, TYPES, Fake, Subject
from avbench_demo.portrait import paint_portrait
from avbench_demo.recipe import Edition, Recipe
from avbench_demo.recording import WHOLE_STYLE, film, hear, loudness_gain
from avbench_demo.speech import speak
from avbench_demo.truth import write_truth

Frames = NDArray[Any]  # uint8
_STYLE = WHOLE_STYLE
_LAGS = {"faceswap": (2, 0.3), "fsgan": (3, 0.4)}  # frames late, smoothing in frames
LIPS_SEAM = forge.Seam(resolution=0.35, contrast=0.7, tint=8.0, jitter=0.6, flicker=0.035)
LIPS_MASK = forge.box_mask(140.0, 193.0, 36.0, 9.0)
_SWAPS = {
    "faceswap": forge.Seam(resolution=0.38, contrast=0.75, tint=7.0, jitter=0.6, flicker=0.03),
    "fsgan": forge.Seam(resolution=0.32, contrast=0.75, tint=7.0, jitter=0.7, flicker=0.03),
}


def make_subject(subject: Subject, root: Path, recipe: Recipe) -> int:
    """Make all files of one identity; return their number."""
    takes = [_Take(subject, number, recipe) for number in range(len(subject.takes))]
    for take in takes:
        take.write(root, "A", take.name, video=take.video, sound=take.sound, seen=take.performance, heard=take.sentence)
    for number, fake in enumerate(subject.fakes):
        take, seed = takes[fake.take], [recipe.edition.seed, _STYLE.number, 500 + subject.number, number]
        sound, heard = take.sound, take.sentence
        if fake.category in "BD":
            sound, heard = take.clone(seed)
        video, shown = take.video, take.performance
        if fake.category in "CD":
            frames, shown = take.manipulate(fake, heard, seed)
            video = take.encode(frames)
        take.write(root, fake.category, fake.name, video=video, sound=sound, seen=shown, heard=heard)
    return len(takes) + len(subject.fakes)


class _Take:
    """One real recording, from which fakes start."""

    def __init__(self, subject: Subject, number: int, recipe: Recipe) -> None:
        self.subject, self.edition, self.level = subject, recipe.edition, recipe.difficulty
        self.name, seconds = subject.takes[number]
        self.seed = [self.edition.seed, _STYLE.number, subject.number, number]
        self.person = draw_person(_looks(self.edition, subject.number), subject.woman)
        self.sentence = say(np.random.default_rng(self.seed), seconds, self.person.voice.pace)
        self.mumbled = drawn(self.level.real_mumbled, [*self.seed, 11])
        self.speech = speak(self.sentence, self.person.voice, [*self.seed, 1], self.mumbled)
        codec = drawn(self.level.real_heard, [*self.seed, 7])
        self.sound = self._record(processed(self.speech, mel_vocoder, codec, [*self.seed, 8]))
        self.face = Face(paint_portrait(self.person, _STYLE.studio, [*self.seed, 2]), self.person)
        self.performance = perform(self.sentence, self.speech.accent, [*self.seed, 3], mumbled=self.mumbled)
        filter_seam = LIPS_SEAM.at(drawn(self.level.real_seen, [*self.seed, 9]))
        plain = self.face.act(self.performance)
        self.frames = forge.paste(
            plain, plain, self.performance.head, LIPS_MASK, filter_seam, [*self.seed, 10], membrane=False
        )
        self.video = self.encode(self.frames)

    def encode(self, frames: Frames) -> bytes:
        """Film and encode pictures."""
        return encode_video(film(frames, _STYLE, [*self.seed, 4]), _STYLE.crf, _STYLE.preset)

    def clone(self, seed: list[int]) -> tuple[bytes, Sentence]:
        """Other words in a cloned voice, in the same room, and what is said."""
        sentence = say(np.random.default_rng([*seed, 12]), self.sentence.seconds, self.person.voice.pace)
        speech = speak(
            sentence, imitate(self.person.voice, [*seed, 1]), [*seed, 2], drawn(self.level.fake_voice, [*seed, 15])
        )
        strength = drawn(self.level.fake_heard, [*seed, 13])
        return self._record(processed(speech, mel_vocoder, strength, [*seed, 3])), sentence

    def _record(self, clean: NDArray[np.float32]) -> bytes:
        return encode_sound(hear(clean, loudness_gain(clean, [*self.seed, 5]), _STYLE, [*self.seed, 6]))

    def manipulate(self, fake: Fake, heard: Sentence, seed: list[int]) -> tuple[Frames, Performance]:
        """Frames and what they show for a method that changes the picture."""
        shown, frames, level = self.performance, self.frames, self.level
        strength = drawn(level.fake_seen, [*seed, 14])
        lips_made = "wav2lip" in fake.method
        if lips_made:
            shown = self._other_performance(heard, fake.category == "C", seed)
            frames = self.face.act(shown)
        if fake.donor >= 0:
            method = fake.method.removesuffix("-wav2lip")
            lips, mumbled = mouth_of(shown), drawn(level.fake_lips, [*seed, 17])
            shown = forge.reenact(shown, *_LAGS[method], mumbled)
            shown = with_mouth(shown, lips) if lips_made else shown
            stranger = draw_person(_looks(self.edition, fake.donor), self.subject.woman)
            theirs = Face(paint_portrait(stranger, _STYLE.studio, [*seed, 10]), stranger).act(shown)
            mask = forge.oval_mask(128.0, 41.0, 56.0, 9.0)
            seam = _SWAPS[method].at(strength)
            frames = forge.paste(frames, theirs, shown.head, mask, seam, [*seed, 11], membrane=True)
        if lips_made:
            seam = LIPS_SEAM.at(strength)
            frames = forge.paste(frames, frames, shown.head, LIPS_MASK, seam, [*seed, 9], membrane=False)
        return frames, shown

    def _other_performance(self, heard: Sentence, drifting: bool, seed: list[int]) -> Performance:
        """The same person in another take: brows and head do not belong to this sound, only the re-made lips do.

        drifting: the lips are a little early or late, as when they were made for another encoding of the sound.
        """
        random = np.random.default_rng([*seed, 7])
        accent = np.roll(self.speech.accent, len(self.speech.accent) // 3)
        lag = random.uniform(-0.08, 0.08) if drifting else 0.0
        lips = mouth(heard, random.uniform(0.85, 1.15), lag, drawn(self.level.fake_lips, [*seed, 16]))
        return with_mouth(perform(self.sentence, accent, [*seed, 8]), lips)

    def write(
        self, root: Path, category: str, name: str, *, video: bytes, sound: bytes, seen: Performance, heard: Sentence
    ) -> None:
        """Write one file and its truth into the official folders."""
        subject = self.subject
        place = Path(FAKEAV, TYPES[category], subject.race, subject.gender, subject.identity, name)
        join(video, sound, root / place)
        write_truth(root / "truth" / place, seen, heard, subject.identity)


def _looks(edition: Edition, number: int) -> list[int]:
    """Seed of an identity's looks and voice."""
    return [edition.seed, _STYLE.number, 1000 + number]
