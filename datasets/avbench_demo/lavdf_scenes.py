"""Make one original of LAV-DF and its three edits: two other words in the sound, on the lips, or both."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avbench_demo import forge
from avbench_demo.cloning import imitate, processed, pulse_vocoder
from avbench_demo.difficulty import Difficulty, drawn
from avbench_demo.encoding import decoded_samples, encode_sound, encode_video, join
from avbench_demo.faces import Face
from avbench_demo.layout import lavdf_row
from avbench_demo.performance import FPS, Performance, mouth, mouth_of, perform, with_mouth
from avbench_demo.person import draw_person
from avbench_demo.phonemes import VOCABULARY, Sentence, lip_distance, say
from avbench_demo.plan import LAVDF, Scene
from avbench_demo.portrait import paint_portrait
from avbench_demo.recipe import Recipe
from avbench_demo.recording import LOCAL_STYLE, film, hear, loudness_gain
from avbench_demo.speech import Speech, speak
from avbench_demo.truth import write_truth

LIPS_SEAM = forge.Seam(resolution=0.3, contrast=0.7, tint=8.0, jitter=0.7, flicker=0.04)
LIPS_MASK = forge.oval_mask(160.0, 38.0, 32.0, 7.0)
_SHORTEST, _LONGEST = 0.75, 1.2  # of two replaced words, seconds
Frames = NDArray[Any]  # uint8
Array = NDArray[np.float32]


def make_scene(scene: Scene, root: Path, recipe: Recipe) -> list[dict[str, Any]]:
    """Make an original of LAV-DF and its edits; return their rows of metadata.json."""
    style, level, first_seed = LOCAL_STYLE, recipe.difficulty, recipe.edition.seed
    seed = [first_seed, style.number, scene.number]
    person = draw_person([first_seed, style.number, 1000 + scene.speaker], scene.woman)
    sentence, edited, (start, end) = _sentence_and_edit(np.random.default_rng(seed), scene.seconds, person.voice.pace)

    mumbled = drawn(level.real_mumbled, [*seed, 16])
    speech = speak(sentence, person.voice, [*seed, 1], mumbled)
    speech = replace(speech, sound=_coded(speech, sentence, level, seed))
    clone = speak(edited, imitate(person.voice, [*seed, 2]), [*seed, 1], drawn(level.fake_passages, [*seed, 17]))
    cloned = processed(clone, pulse_vocoder, drawn(level.fake_heard, [*seed, 12]), [*seed, 3])
    gain = loudness_gain(speech.sound, [*seed, 4])
    clean = (speech.sound, forge.splice(speech.sound, cloned, start, end))
    sounds = [encode_sound(hear(sound, gain, style, [*seed, 5])) for sound in clean]

    face = Face(paint_portrait(person, style.studio, [*seed, 6]), person)
    truth = perform(sentence, speech.accent, [*seed, 7], mumbled=mumbled)
    frames = _filtered(face.act(truth), truth, sentence, level, seed)
    first, last = _frames_of(start, end, len(frames))
    lips = mouth(edited, mumbled=drawn(level.fake_passages, [*seed, 18]))
    spoken = mouth_of(truth)
    forged_truth = with_mouth(truth, np.concatenate([spoken[:first], lips[first:last], spoken[last:]]))
    patch = face.act(forged_truth, first, last)
    seam = LIPS_SEAM.at(drawn(level.fake_seen, [*seed, 15]))
    forged = frames.copy()
    forged[first:last] = forge.paste(
        frames[first:last], patch, truth.head[first:last], LIPS_MASK, seam, [*seed, 8], membrane=False
    )
    videos = [encode_video(film(shown, style, [*seed, 9]), style.crf, style.preset) for shown in (frames, forged)]

    rows = []
    for forgery, name in enumerate(scene.names):
        seen_fake, heard_fake = bool(forgery & 1), bool(forgery & 2)
        file = f"{scene.split}/{name}"
        join(videos[seen_fake], sounds[heard_fake], root / LAVDF / file)
        heard = edited if heard_fake else sentence
        shown = forged_truth if seen_fake else truth
        write_truth(root / "truth" / LAVDF / file, shown, heard, f"speaker{scene.speaker:02d}")
        rows.append(
            lavdf_row(
                file,
                original=f"{scene.split}/{scene.names[0]}" if forgery else None,
                fake_periods=[[round(start, 3), round(end, 3)]] if forgery else [],
                modified=(seen_fake, heard_fake),
                frames=len(frames),
                samples=decoded_samples(len(speech.sound)),
                words=[(said, *times) for said, times in zip(heard.words, heard.word_times, strict=True)],
            )
        )
    return rows


def _coded(speech: Speech, sentence: Sentence, level: Difficulty, seed: list[int]) -> Array:
    """Genuine speech as a bad line leaves it: coded more or less from word to word, as passages of forgeries are."""
    coded = pulse_vocoder(speech, [*seed, 11])
    sound = speech.sound
    for number, (start, end) in enumerate(sentence.word_times):
        share = np.float32(drawn(level.real_heard, [*seed, 10, number]))
        sound = forge.splice(sound, speech.sound + share * (coded - speech.sound), start, end)
    return sound


def _filtered(plain: Frames, truth: Performance, sentence: Sentence, level: Difficulty, seed: list[int]) -> Frames:
    """Genuine pictures as a beauty filter leaves them, which loses the lips and finds them again with each word."""
    frames = plain.copy()
    for number, (start, end) in enumerate(sentence.word_times):
        first, last = _frames_of(start, end, len(frames))
        own, seam = plain[first:last], LIPS_SEAM.at(drawn(level.real_seen, [*seed, 13, number]))
        heads = truth.head[first:last]
        frames[first:last] = forge.paste(own, own, heads, LIPS_MASK, seam, [*seed, 14, number], membrane=False)
    return frames


def _frames_of(start: float, end: float, count: int) -> tuple[int, int]:
    """Return the first frame that time shows and the one behind its last."""
    return int(start * FPS), min(int(np.ceil(end * FPS)), count)


def _sentence_and_edit(
    random: np.random.Generator, seconds: float, pace: float
) -> tuple[Sentence, Sentence, tuple[float, float]]:
    """Draw a sentence; the same with two neighbouring words replaced by others that look different; when these are."""
    while True:
        sentence = say(random, seconds, pace)
        passages = [(start, end) for (start, _), (_, end) in pairwise(sentence.word_times)]
        fitting = [i for i, (start, end) in enumerate(passages) if _SHORTEST <= end - start <= _LONGEST]
        if fitting:
            break
    index = fitting[int(random.integers(len(fitting)))]
    edited = sentence
    for place in (index, index + 1):
        candidates = random.choice(list(VOCABULARY), 6, replace=False)
        word = max(candidates, key=lambda other: lip_distance(sentence.words[place], str(other)))
        edited = edited.with_word(place, str(word))
    return sentence, edited, passages[index]
