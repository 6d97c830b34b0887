"""Make the videos of one identity of FakeAVCeleb: real takes, a cloned voice, re-made lips, exchanged faces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avbench_demo import forge
from avbench_demo.cloning import imitate, mel_vocoder
from avbench_demo.encoding import encode_sound, encode_video, join
from avbench_demo.faces import Face
from avbench_demo.performance import Performance, mouth, mouth_of, perform, with_mouth
from avbench_demo.person import draw_person
from avbench_demo.phonemes import say
from avbench_demo.plan import FAKEAV, SEED, TYPES, Fake, Subject
from avbench_demo.portrait import paint_portrait
from avbench_demo.recording import WHOLE_STYLE, film, hear, loudness_gain
from avbench_demo.speech import speak
from avbench_demo.truth import write_truth

Frames = NDArray[Any]  # uint8
_STYLE = WHOLE_STYLE
_LAGS = {"faceswap": (2, 0.6), "fsgan": (3, 1.0)}  # frames late, smoothing in frames
_LIPS = forge.Seam(resolution=0.35, contrast=0.7, tint=8.0, jitter=0.6, flicker=0.035)
_SWAPS = {
    "faceswap": forge.Seam(resolution=0.38, contrast=0.75, tint=7.0, jitter=0.6, flicker=0.03),
    "fsgan": forge.Seam(resolution=0.32, contrast=0.75, tint=7.0, jitter=0.7, flicker=0.03),
}


def make_subject(subject: Subject, root: Path) -> int:
    """Make all files of one identity; return their number."""
    takes = [_Take(subject, number) for number in range(len(subject.takes))]
    for take in takes:
        take.write(root, "A", take.name, take.video, take.sound, take.performance)
    for number, fake in enumerate(subject.fakes):
        take, seed = takes[fake.take], [SEED, _STYLE.number, 500 + subject.number, number]
        sound = take.clone(seed) if fake.category in "BD" else take.sound
        video, shown = take.video, take.performance
        if fake.category in "CD":
            frames, shown = take.manipulate(fake, seed)
            video = take.encode(frames)
        take.write(root, fake.category, fake.name, video, sound, shown)
    return len(takes) + len(subject.fakes)


class _Take:
    """One real recording, from which fakes start."""

    def __init__(self, subject: Subject, number: int) -> None:
        self.subject = subject
        self.name, seconds = subject.takes[number]
        self.seed = [SEED, _STYLE.number, subject.number, number]
        self.person = draw_person(_looks(subject.number), subject.woman)
        self.sentence = say(np.random.default_rng(self.seed), seconds, self.person.voice.pace)
        self.speech = speak(self.sentence, self.person.voice, [*self.seed, 1])
        self.sound = self._record(self.speech.sound)
        self.face = Face(paint_portrait(self.person, _STYLE.studio, [*self.seed, 2]), self.person)
        self.performance = perform(self.sentence, self.speech.accent, [*self.seed, 3])
        self.frames = self.face.act(self.performance)
        self.video = self.encode(self.frames)

    def encode(self, frames: Frames) -> bytes:
        """Film and encode pictures."""
        return encode_video(film(frames, _STYLE, [*self.seed, 4]), _STYLE.crf, _STYLE.preset)

    def clone(self, seed: list[int]) -> bytes:
        """The same words at the same time in a cloned voice, in the same room."""
        speech = speak(self.sentence, imitate(self.person.voice, [*seed, 1]), [*seed, 2])
        return self._record(mel_vocoder(speech, [*seed, 3]))

    def _record(self, clean: NDArray[np.float32]) -> bytes:
        return encode_sound(hear(clean, loudness_gain(clean, [*self.seed, 5]), _STYLE, [*self.seed, 6]))

    def manipulate(self, fake: Fake, seed: list[int]) -> tuple[Frames, Performance]:
        """Frames and what they show for a method that changes the picture."""
        shown, frames = self.performance, self.frames
        lips_made = "wav2lip" in fake.method
        if lips_made:
            shown = self._other_performance(fake.category == "C", seed)
            frames = self.face.act(shown)
        if fake.donor >= 0:
            method = fake.method.removesuffix("-wav2lip")
            lips = mouth_of(shown)
            shown = forge.reenact(shown, *_LAGS[method])
            shown = with_mouth(shown, lips) if lips_made else shown
            stranger = draw_person(_looks(fake.donor), self.subject.woman)
            theirs = Face(paint_portrait(stranger, _STYLE.studio, [*seed, 10]), stranger).act(shown)
            mask = forge.oval_mask(128.0, 41.0, 56.0, 9.0)
            frames = forge.paste(frames, theirs, shown.head, mask, _SWAPS[method], [*seed, 11], membrane=True)
        if lips_made:
            mask = forge.box_mask(140.0, 193.0, 36.0, 9.0)
            frames = forge.paste(frames, frames, shown.head, mask, _LIPS, [*seed, 9], membrane=False)
        return frames, shown

    def _other_performance(self, drifting: bool, seed: list[int]) -> Performance:
        """The same person in another take: brows and head do not belong to this sound, only the re-made lips do.

        drifting: the lips are a little early or late, as when they were made for another encoding of the sound.
        """
        random = np.random.default_rng([*seed, 7])
        accent = np.roll(self.speech.accent, len(self.speech.accent) // 3)
        lag = random.uniform(-0.08, 0.08) if drifting else 0.0
        lips = mouth(self.sentence, random.uniform(0.7, 0.9), lag, blur=0.05)
        return with_mouth(perform(self.sentence, accent, [*seed, 8]), lips)

    def write(self, root: Path, category: str, name: str, video: bytes, sound: bytes, shown: Performance) -> None:
        """Write one file and its truth into the official folders."""
        subject = self.subject
        place = Path(FAKEAV, TYPES[category], subject.race, subject.gender, subject.identity, name)
        join(video, sound, root / place)
        write_truth(root / "truth" / place, shown, self.sentence, subject.identity)


def _looks(number: int) -> list[int]:
    """Seed of an identity's looks and voice."""
    return [SEED, _STYLE.number, 1000 + number]
