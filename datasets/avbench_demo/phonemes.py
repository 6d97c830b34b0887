"""What is said: a small inventory of phonemes with their sound and their lips, a vocabulary, and timed sentences."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Phoneme:
    """One speech sound: formants, noise and bands in Hz, levels 0-1, seconds; lips in action-unit intensity 0-5."""

    formants: tuple[int, int, int]
    voice: float
    noise: float
    band: tuple[int, int]  # centre and width of the frication noise
    seconds: float
    part: float  # AU25, lips part
    jaw: float  # AU26, jaw drop
    rounding: float = 0.0  # 0-1, lips pushed forward and narrowed
    firmness: float = 1.0  # how strongly the lips must reach this target against their neighbours
    stop: bool = False  # silence first, then a burst


SILENCE = "sil"
_ANY = (4000, 3000)
PHONEMES = {
    SILENCE: Phoneme((500, 1500, 2500), 0.0, 0.0, _ANY, 0.2, 0.2, 0.1, firmness=0.6),
    "a": Phoneme((730, 1150, 2500), 1.0, 0.0, _ANY, 0.19, 4.2, 4.4),
    "ae": Phoneme((660, 1720, 2450), 0.95, 0.0, _ANY, 0.18, 4.0, 3.4),
    "e": Phoneme((480, 1900, 2550), 0.9, 0.0, _ANY, 0.17, 3.0, 2.0),
    "i": Phoneme((290, 2300, 3000), 0.8, 0.0, _ANY, 0.16, 2.3, 0.9),
    "o": Phoneme((470, 880, 2450), 0.9, 0.0, _ANY, 0.18, 2.8, 2.4, 0.8),
    "u": Phoneme((320, 800, 2250), 0.8, 0.0, _ANY, 0.17, 1.6, 0.9, 1.0),
    "uh": Phoneme((600, 1200, 2450), 0.9, 0.0, _ANY, 0.14, 3.0, 2.3),
    "m": Phoneme((270, 1100, 2200), 0.45, 0.0, _ANY, 0.1, 0.0, 0.3, firmness=4.0),
    "n": Phoneme((300, 1600, 2500), 0.45, 0.0, _ANY, 0.09, 1.3, 0.9),
    "w": Phoneme((310, 650, 2200), 0.6, 0.0, _ANY, 0.09, 0.9, 0.5, 1.0, 2.0),
    "l": Phoneme((380, 1100, 2700), 0.6, 0.0, _ANY, 0.08, 2.0, 1.4),
    "r": Phoneme((400, 1200, 1650), 0.6, 0.0, _ANY, 0.09, 1.6, 1.0, 0.5),
    "s": Phoneme((350, 1700, 2600), 0.0, 0.8, (6200, 1500), 0.12, 1.2, 0.3),
    "z": Phoneme((350, 1700, 2600), 0.35, 0.5, (6000, 1600), 0.11, 1.2, 0.4),
    "sh": Phoneme((350, 1800, 2500), 0.0, 0.8, (3600, 1300), 0.13, 1.7, 0.5, 0.6),
    "f": Phoneme((350, 1100, 2400), 0.0, 0.3, (5200, 3500), 0.11, 0.4, 0.3, firmness=3.0),
    "v": Phoneme((350, 1100, 2400), 0.45, 0.15, (5200, 3500), 0.09, 0.4, 0.3, firmness=3.0),
    "h": Phoneme((600, 1400, 2500), 0.1, 0.25, (2000, 2500), 0.08, 2.0, 1.4, firmness=0.4),
    "p": Phoneme((400, 1000, 2300), 0.0, 0.5, (1000, 1500), 0.11, 0.0, 0.4, firmness=4.0, stop=True),
    "b": Phoneme((300, 1000, 2300), 0.25, 0.3, (900, 1200), 0.09, 0.0, 0.4, firmness=4.0, stop=True),
    "t": Phoneme((400, 1700, 2600), 0.0, 0.7, (4600, 2000), 0.1, 1.2, 0.6, stop=True),
    "d": Phoneme((300, 1700, 2600), 0.25, 0.4, (4000, 2000), 0.09, 1.3, 0.7, stop=True),
    "k": Phoneme((400, 1900, 2400), 0.0, 0.6, (2300, 1200), 0.11, 1.5, 1.1, firmness=0.5, stop=True),
}

VOCABULARY = {
    word: tuple(spelling.split())
    for word, spelling in {
        "mama": "m a m a", "bee": "b i", "top": "t o p", "low": "l o", "wash": "w o sh", "fan": "f ae n",
        "man": "m ae n", "pool": "p u l", "keys": "k i z", "boat": "b o t", "red": "r e d", "sun": "s uh n",
        "vote": "v o t", "show": "sh o", "lamp": "l ae m p", "moon": "m u n", "sit": "s i t", "bad": "b ae d",
        "far": "f a r", "leaf": "l i f", "rope": "r o p", "wave": "w e v", "home": "h o m", "zoo": "z u",
        "desk": "d e s k", "papa": "p a p a", "tea": "t i", "bomb": "b o m", "news": "n u z", "palm": "p a m",
        "fish": "f i sh", "soup": "s u p", "hat": "h ae t", "bell": "b e l", "love": "l uh v", "shape": "sh e p",
        "peace": "p i s", "war": "w o r", "dark": "d a r k", "car": "k a r", "summer": "s uh m e r", "sofa": "s o f a",
    }.items()
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sentence:
    """What is said and when: words and phonemes (silences included) with start and end in seconds."""

    seconds: float
    words: tuple[str, ...]
    word_times: tuple[tuple[float, float], ...]
    phonemes: tuple[str, ...]
    phoneme_times: tuple[tuple[float, float], ...]

    def with_word(self, index: int, word: str) -> Sentence:
        """Say another word in the same time slot; everything else stays where it is."""
        start, end = self.word_times[index]
        inside = [start - 1e-9 <= a and b <= end + 1e-9 for a, b in self.phoneme_times]
        first = inside.index(True)
        last = first + sum(inside)
        times = tuple(spell(word, start, end))
        return replace(
            self,
            words=(*self.words[:index], word, *self.words[index + 1 :]),
            phonemes=(*self.phonemes[:first], *VOCABULARY[word], *self.phonemes[last:]),
            phoneme_times=(*self.phoneme_times[:first], *times, *self.phoneme_times[last:]),
        )


def spell(word: str, start: float, end: float) -> list[tuple[float, float]]:
    """Share the slot from start to end (s) among the phonemes of a word by their natural lengths."""
    lengths = np.array([PHONEMES[name].seconds for name in VOCABULARY[word]])
    edges = start + (end - start) * np.concatenate([[0.0], np.cumsum(lengths) / lengths.sum()])
    edges[-1] = end
    return [(float(a), float(b)) for a, b in pairwise(edges)]


def say(random: np.random.Generator, seconds: float, pace: float) -> Sentence:
    """Fill the given seconds with words drawn from the vocabulary, short gaps and a few pauses."""
    words: list[str] = []
    word_times: list[tuple[float, float]] = []
    phonemes: list[str] = []
    phoneme_times: list[tuple[float, float]] = []
    names = list(VOCABULARY)
    clock = 0.0
    gap = random.uniform(0.12, 0.3)
    while True:
        word = names[int(random.integers(len(names)))]
        length = sum(PHONEMES[name].seconds for name in VOCABULARY[word]) * pace * random.uniform(0.9, 1.2)
        start = clock + gap
        if start + length > seconds - 0.1:
            break
        if gap > 0.0:
            phonemes.append(SILENCE)
            phoneme_times.append((clock, start))
        words.append(word)
        word_times.append((start, start + length))
        phonemes.extend(VOCABULARY[word])
        phoneme_times.extend(spell(word, start, start + length))
        clock = start + length
        gap = random.uniform(0.18, 0.35) if random.random() < 0.2 else random.choice([0.0, 0.03, 0.06])
    phonemes.append(SILENCE)
    phoneme_times.append((clock, seconds))
    return Sentence(seconds, tuple(words), tuple(word_times), tuple(phonemes), tuple(phoneme_times))


def lip_distance(first: str, second: str) -> float:
    """Tell how differently two words look: mean difference of lip opening and jaw over the shared slot, 0-5."""

    def opening(word: str) -> NDArray[np.float64]:
        clock = np.linspace(0.02, 0.98, 25)
        ends = np.array([end for _, end in spell(word, 0.0, 1.0)])
        spoken = [PHONEMES[VOCABULARY[word][int(i)]] for i in np.searchsorted(ends, clock)]
        return np.array([(p.part + p.jaw) / 2 for p in spoken])

    return float(np.abs(opening(first) - opening(second)).mean())
