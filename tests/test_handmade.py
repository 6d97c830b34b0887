"""The control of hand-made numbers: what the numbers measure, what is kept of the clips, and the regression."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from avbench.bench.contract import random_batch
from avbench.config import resolve
from avbench.plugins.registry import installed
from avbench.types import ClipBatch, ClipSpec
from avbench_controls.handmade import WIDTH, HandMade, named_numbers, numbers_of
from avbench_controls.logistic import fit

CLIP = ClipSpec(frames=25, size=64, audio_samples=16_000)
README = Path(__file__).parents[1] / "detectors/avbench_controls/README.md"


def control(kept: int = 1000) -> HandMade:
    return HandMade(resolve(installed().detector("handmade"), "binary", preset="demo", overrides=[f"kept={kept}"]))


def clips(count: int, seed: int = 0) -> ClipBatch:
    """Return clips of noise; the pictures of those called forged flicker, their sound is louder."""
    batch = random_batch(CLIP, count, seed)
    random = torch.Generator().manual_seed(seed + 99)
    batch.seed = torch.randint(0, 2**62, (count,), generator=random)
    forged = batch.forgery > 0
    flicker = 1 - 0.3 * forged[:, None] * torch.rand(count, 25, generator=random)
    batch.video = (batch.video * flicker[:, :, None, None, None]).to(torch.uint8)
    batch.audio = batch.audio * (1 + 0.2 * forged[:, None] + 0.5 * torch.rand(count, 1, generator=random))
    return batch


def shown(control: HandMade, batch: ClipBatch, numbers: torch.Tensor | None = None) -> HandMade:
    control.train()
    with torch.no_grad():
        output = control(batch)
        control.loss(output if numbers is None else replace(output, aux={"numbers": numbers}), batch)
    return control.eval()


def test_there_are_48_numbers_and_the_readme_names_each() -> None:
    names = list(named_numbers(random_batch(CLIP, 2)))
    table = README.read_text("utf-8").partition("| number | of | what |")[2]
    told = [name for line in table.splitlines() if line for name in re.findall(r"`(\w+)`", line.split("|")[1])]
    assert told == names and len(set(names)) == WIDTH == 48


@pytest.mark.parametrize(("apart", "penalty"), [(0.4, 1.0), (0.4, 0.01), (6.0, 1.0), (6.0, 100.0)])
def test_the_regression_is_scikit_learn_s(apart: float, penalty: float) -> None:
    random = np.random.default_rng(3)
    fake = random.random(300) < 0.7
    x = random.standard_normal((300, 12)) + apart * fake[:, None] * (np.arange(12) < 2)
    x[:, 5] = x[:, 4]  # numbers that go together
    w = fit(torch.from_numpy(x), torch.from_numpy(fake).double(), penalty).numpy()
    theirs = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=10_000).fit(x, fake)
    np.testing.assert_allclose(w, [*theirs.coef_[0], theirs.intercept_[0]], atol=1e-4)


def test_it_judges_by_a_regression_on_the_standardised_numbers() -> None:
    batch, others = clips(60), clips(20, seed=1)
    x, z = numbers_of(batch).double().numpy(), numbers_of(others).double().numpy()
    mean, sd = x.mean(axis=0), x.std(axis=0).clip(1e-9)  # noise has no periods
    theirs = LogisticRegression(tol=1e-10, max_iter=10_000)
    theirs.fit(((x - mean) / sd).clip(-5, 5), batch.forgery.numpy() > 0)
    found = shown(control(), batch)(others).logits.softmax(dim=1)[:, 1].numpy()
    np.testing.assert_allclose(found, theirs.predict_proba(((z - mean) / sd).clip(-5, 5))[:, 1], atol=1e-4)


def test_of_more_clips_than_are_kept_the_smallest_seeds_count_in_any_order() -> None:
    batch, others = clips(40), clips(8, seed=1)
    numbers = numbers_of(batch)  # once: their last bits depend on the clips beside
    smallest = batch.seed.argsort()[:24].tolist()
    whole, once = control(kept=24), control(kept=24)
    for first, last in pairwise((0, 7, 8, 30, 40)):
        shown(whole, batch.part(first, last), numbers[first:last])
    shown(once, batch.take(smallest[::-1]), numbers[smallest[::-1]])
    assert whole.seeds.tolist() == batch.seed[smallest].tolist() == once.seeds.tolist()
    assert torch.equal(whole.numbers, once.numbers) and torch.equal(whole.fake, once.fake)
    whole(others), once(others)
    assert torch.equal(whole.weight, once.weight) and whole.weight.abs().max() > 0.1
    assert whole.count.sum() == 40 and once.count.sum() == 24, "the share of fakes is of all"


def test_a_clip_without_a_stream_gets_the_share_of_fakes_and_is_not_kept() -> None:
    batch = clips(24)
    batch.has_audio[3] = batch.has_video[9] = False
    trained = shown(control(), batch)
    found = trained(batch).logits.softmax(dim=1)[:, 1]
    real, fake = trained.count.tolist()
    assert real + fake == 22 and (trained.seeds < torch.iinfo(torch.int64).max).sum() == 22
    assert found[[3, 9]].tolist() == pytest.approx([(fake + 1) / (real + fake + 2)] * 2)
    assert found[batch.has_audio & batch.has_video & (batch.forgery > 0)].min() > 0.5


def test_what_was_collected_is_saved_and_fitted_wherever_it_is_loaded() -> None:
    batch, others = clips(40), clips(8, seed=1)
    reference = shown(shown(control(), batch.part(0, 20)), batch.part(20, 40))
    half = shown(control(), batch.part(0, 20))
    half(others)  # fitted on half of the clips
    resumed = control()
    resumed.load_state_dict(half.state_dict())
    judged = control()
    judged.load_state_dict(shown(resumed, batch.part(20, 40)).state_dict())
    assert torch.equal(judged.eval()(others).logits, reference(others).logits)


def test_a_short_clip_holds_its_last_frame_and_repeats_its_sound() -> None:
    short = random_batch(CLIP, 2)
    short.frames[0], short.samples[0] = 20, 12_000
    held = short.each(torch.clone)
    held.video[0, 20:] = held.video[0, 19]
    held.audio[0, 12_000:] = held.audio[0, :4000]
    held.frames[0], held.samples[0] = 25, 16_000
    short.video[0, 20:] = short.audio[0, 12_000:] = 0
    assert torch.equal(numbers_of(short), numbers_of(held))


def test_a_still_and_silent_clip_has_finite_numbers() -> None:
    batch = random_batch(CLIP, 2)
    batch.video[:], batch.audio[:] = 0, 0
    assert numbers_of(batch).isfinite().all()


def face(seed: int = 0) -> ClipBatch:
    """Return one clip: a textured face that stands still, and a voice of 125 Hz with noise."""
    batch = random_batch(replace(CLIP, size=112), 1, seed)
    batch.video[:] = batch.video[:, :1] // 2 + 50
    time = torch.arange(16_000) / 16_000
    voice = torch.where(torch.arange(16_000) % 128 == 0, 0.5, 0.0) + 0.01 * torch.sin(40 * time)
    batch.audio[0] = voice + 0.001 * torch.randn(16_000, generator=torch.Generator().manual_seed(seed))
    return batch


def mouth_of(batch: ClipBatch) -> torch.Tensor:
    """Return a view of the mouth's pixels."""
    return batch.video[:, :, :, 67:96, 36:76]


def change(made: ClipBatch) -> dict[str, float]:
    """Return by how much each number differs from that of the face as it is."""
    before, after = named_numbers(face()), named_numbers(made)
    return {name: float(after[name] - before[name]) for name in before}


def test_a_blurred_mouth_is_found_by_its_sharpness_alone() -> None:
    made = face()
    mouth_of(made)[:] = mouth_of(made).float().mean(dim=(-1, -2), keepdim=True).to(torch.uint8)
    found = change(made)
    assert found["mouth_sharpness"] < -1 and found["mouth_sharpness_to_upper"] < -1
    assert found["mouth_contrast_to_upper"] < -1 and found["upper_detail_correlation"] == found["mouth_jerk"] == 0


def test_a_trembling_mouth_is_found_by_flicker_in_its_colour_alone() -> None:
    made = face()
    mouth_of(made)[:, ::2, 0] += 8  # red
    found = change(made)
    assert found["mouth_red_flicker"] > 3 and found["mouth_flicker_to_upper"] > 2 and found["mouth_motion"] > 2
    assert found["mouth_flicker"] > 2 and found["mouth_red_less_upper"] > 0 and found["mouth_blue_less_upper"] < 0
    assert found["mouth_flicker"] > found["flicker"] > 0


def test_noise_over_the_mouth_is_told_from_texture() -> None:
    made = face()
    mouth = mouth_of(made)
    mouth += torch.randint(0, 30, mouth.shape, generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    found = change(made)
    assert found["mouth_noise"] > 3 and found["mouth_noise_to_upper"] > 3
    assert found["mouth_detail_correlation"] < -0.02 and found["upper_detail_correlation"] == 0


def test_sound_turned_upside_down_or_without_pulses_is_found() -> None:
    turned, hissing = face(), face()
    turned.audio = -turned.audio
    found = change(turned)
    assert found.pop("skewness") < -1 and all(abs(value) < 1e-4 for value in found.values())
    hissing.audio[0] = 0.05 * torch.randn(16_000, generator=torch.Generator().manual_seed(5))
    found, told = change(hissing), named_numbers(face())
    assert told["periodicity"].item() > 0.8 and told["jitter"].item() < -6
    assert found["periodicity"] < -0.5 and found["cepstral_peak"] < -0.1 and found["kurtosis"] < -1
    assert found["flux"] > 0 and found["flatness"] > -0.6


@pytest.mark.parametrize("late", [-2, 0, 2])
def test_synchrony_finds_by_how_much_the_mouth_comes_late(late: int) -> None:
    loud = torch.rand(25 + 4, generator=torch.Generator().manual_seed(11))
    made = face()
    bright = 60 + 100 * loud[2 - late : 27 - late]
    mouth_of(made)[:] = bright[None, :, None, None, None].to(torch.uint8)
    noise = torch.rand(16_000, generator=torch.Generator().manual_seed(12)) - 0.5
    made.audio[0] = (0.02 * (3 * loud[2:27]).exp().repeat_interleave(640)) * noise
    found = named_numbers(made)
    assert found["sync_brightness_energy"].item() > 0.97
    assert found["sync_brightness_energy_lag"].item() == pytest.approx(late, abs=1.2)
    assert (found["sync_motion_energy"].abs() <= 1).all()
