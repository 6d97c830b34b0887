"""The demo speakers: what is known of them is what is heard and seen, and they are nobody else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from avbench.media.placing import Place
from avbench.perturbations.open_clip import OpenClip
from avbench.plugins.registry import installed
from avbench.protocol import known
from avbench.types import Clip, ClipSpec, Sample
from avbench_demo import coded_faces, speakers
from avbench_demo.labels import LIPS, MOVES, PHONEME_NAMES, PITCHES, SPEECH
from avbench_demo.people import SEED
from avbench_demo.performance import FPS
from avbench_demo.person import draw_person
from avbench_demo.phonemes import PHONEMES
from avbench_demo.speakers import PEOPLE, make_speakers, read_lips, read_speech, scan, seed_of, share_of

COUNT, RATE = 4, 16_000


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_speakers(tmp_path_factory.mktemp("speakers") / "demo_speakers", people=COUNT)


def whole(sample: Sample) -> Clip:
    spec = ClipSpec(frames=75, size=224, audio_samples=3 * RATE, whole=True)
    return OpenClip(sample.path, spec, Place.start(0.0)).clean()


def truth(sample: Sample) -> Path:
    return dict(sample.annotations)["speech"]


def period_strength(sound: np.ndarray, hertz: float) -> float:
    """Return how alike a sound is to itself one period later."""
    lag = round(RATE / hertz)
    first, later = sound[:-lag], sound[lag:]
    return float(first @ later / np.sqrt((first @ first) * (later @ later) + 1e-12))


def test_phonemes_are_those_of_the_middle_of_a_frame(root: Path) -> None:
    assert tuple(PHONEMES) == PHONEME_NAMES and len(SPEECH) == 24 + 1 + len(PITCHES) + len(MOVES)
    for sample in scan(root):
        series, npz = read_speech(truth(sample)), np.load(truth(sample))
        assert series.values.shape == (sample.frames, len(SPEECH)) and series.starts[1] == 1 / FPS
        for frame, row in enumerate(series.values):
            spoken = [
                name
                for name, (start, end) in zip(npz["phonemes"], npz["phoneme_times"], strict=True)
                if start <= (frame + 0.5) / FPS < end
            ]
            assert [SPEECH[column] for column in np.flatnonzero(row[:24])] == spoken


def test_pitch_is_what_is_heard_when_it_is_heard(root: Path) -> None:
    """Voiced frames repeat themselves after the period that is known, less so after others; silence is quiet."""
    agree = []
    for sample in scan(root):
        sound, npz = whole(sample).sound, np.load(truth(sample))
        voiced = npz["voicing"] > 0.5
        rows = [frame for frame in np.flatnonzero(voiced) if 1 < frame < sample.frames - 2]
        for frame in rows:
            piece = sound[round(frame / FPS * RATE) : round((frame + 1) / FPS * RATE)]
            near, *others = (period_strength(piece, npz["pitch"][frame] * factor) for factor in (1.0, 0.84, 1.19))
            agree.append(near > max(others))
        loud = [np.std(sound[round(f / FPS * RATE) :][:640]) for f in rows]
        silent = read_speech(truth(sample)).values[:, SPEECH.index("sil")] == 1
        quiet = [np.std(sound[round(f / FPS * RATE) :][:640]) for f in np.flatnonzero(silent)]
        assert np.median(loud) > 4 * np.median(quiet)
    assert len(agree) > 40 and np.mean(agree) > 0.85


def test_pitch_is_unknown_without_voice(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "P.npz",
        au=np.zeros((5, 8)),
        pitch=np.array([100.0, 100.0, 200.0, 200.0, 202.0]),
        voicing=np.array([0.0, 1.0, 1.0, 0.1, 1.0]),
        phonemes=np.array(["sil", "a"]),
        phoneme_times=np.array([[0.0, 0.1], [0.1, 0.2]]),
    )
    values = read_speech(tmp_path / "P.npz").values
    assert values[:, SPEECH.index("voiced")].tolist() == [0, 1, 1, 0, 1]
    pitch, moved = (values[:, SPEECH.index(name)].tolist() for name in ("pitch_over_109", "pitch_moved_0.06"))
    np.testing.assert_equal(pitch, [np.nan, 0, 1, np.nan, 1])
    np.testing.assert_equal(moved, [np.nan, np.nan, 1, np.nan, np.nan])
    assert values[:, :2].tolist() == [[1, 0], [1, 0], [0, 1], [0, 1], [0, 1]]


def test_lips_are_those_of_the_frames(root: Path) -> None:
    likeness, elsewhere = [], []
    for sample in scan(root):
        frames, lips, npz = whole(sample).frames, read_lips(truth(sample)).values, np.load(truth(sample))
        assert len(frames) == len(lips) == sample.frames and lips.shape[1] == len(LIPS)
        parted = npz["au"][:, 6]
        np.testing.assert_allclose(lips[:, LIPS.index("AU25_over_2")], parted - 2, atol=1e-6)
        left, right = (lips[:, LIPS.index(f"{side}_over_3")] for side in ("left", "right"))
        np.testing.assert_allclose(left, -right - 6, atol=1e-5)
        mouth = frames[:, 140:195, 85:140].astype(float)
        change = np.abs(mouth - mouth[parted.argmin()]).mean(axis=(1, 2, 3))
        likeness.append(np.corrcoef(change, parted)[0, 1])
        elsewhere.append(max(np.corrcoef(change, np.roll(parted, k))[0, 1] for k in (-4, -3, 3, 4)))
    assert np.mean(likeness) > 0.3 and np.mean(likeness) > np.mean(elsewhere), (likeness, elsewhere)


def test_they_are_in_no_other_database() -> None:
    assert (speakers._STREAM, coded_faces._STREAM) == (4, 3)
    speaking = {draw_person([*seed_of(n), 1], n // 2 % 2 == 1).seed for n in range(sum(PEOPLE.values()))}
    others = {draw_person([SEED, 3, n, 1], n // 2 % 2 == 1).seed for n in range(sum(coded_faces.PEOPLE.values()))}
    forged = {
        draw_person([SEED, s, 1000 + n], woman).seed for s in (1, 2) for n in range(50) for woman in (False, True)
    }
    assert len(speaking) == sum(PEOPLE.values()) == 400 and not speaking & (others | forged)


def test_each_is_in_one_list_nobody_is_forged_and_they_are_made_once(root: Path) -> None:
    samples = scan(root)
    assert {s.split for s in samples} == {"train"} and len({s.identity for s in samples}) == COUNT
    assert not any(s.forgery for s in samples) and all(60 <= (s.frames or 0) <= 75 for s in samples)
    assert not [name for name in known(installed().datasets()) if "demo_speakers" in name]
    assert [a.columns for a in installed().dataset("demo_speakers").annotations] == [SPEECH, LIPS]
    before = (root / "P000.mp4").stat().st_mtime_ns
    assert make_speakers(root, people=COUNT) == root and (root / "P000.mp4").stat().st_mtime_ns == before


def test_a_share_of_strengths_is_zero_and_the_others_reach_from_zero_to_one() -> None:
    random = np.random.default_rng(0)
    drawn = np.array([share_of(random, 0.4) for _ in range(2000)])
    some = drawn[drawn > 0]
    assert len(some) / 2000 == pytest.approx(0.4, abs=0.04) and some.mean() == pytest.approx(0.5, abs=0.03)
