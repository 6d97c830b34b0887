"""Clip augmentations: one draw a clip, from its seed alone; and the recipe of FauForensics."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from avbench.bench.contract import random_batch
from avbench.types import ClipSpec
from avbench_backbones import augment
from avbench_backbones.mel import log_mel_20ms, log_mel_whisper
from avbench_fauforensics.augment import Recipe, prepare

CLIP = ClipSpec(frames=25, size=64, audio_samples=16_000)
RECIPE = Recipe(input_size=32)


def dice(count, first=0):
    return augment.dice(torch.arange(first, first + count))


def positions(clips=1, frames=2, side=20):
    """Return pictures whose red is the row and whose green is the column."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    picture = torch.stack([rows, columns, torch.zeros_like(rows)]).to(torch.uint8)
    return picture.expand(clips, frames, 3, side, side)


def test_centre_crop():
    crop = augment.crop_centre(positions(side=20), 14)
    assert crop[0, 0, :2, 0, 0].tolist() == [3, 3] and crop.shape[-2:] == (14, 14)
    with pytest.raises(ValueError, match="30 pixels out of 20 x 20"):
        augment.crop_centre(positions(side=20), 30)


def test_random_crop_reaches_every_place_and_is_one_for_all_frames():
    crops = augment.crop_randomly(positions(200, side=20), 17, dice(200))
    corners = crops[:, :, :2, 0, 0]
    assert torch.equal(corners[:, 0], corners[:, 1])
    assert torch.equal(crops[:, 0, 0, 16, 0] - crops[:, 0, 0, 0, 0], torch.full((200,), 16, dtype=torch.uint8))
    assert {tuple(corner) for corner in corners[:, 0].tolist()} == {(y, x) for y in range(4) for x in range(4)}


def test_half_of_the_clips_are_mirrored_whole():
    video = positions(200)
    flipped = augment.flip_randomly(video, dice(200))
    mirrored = (flipped == video.flip(-1)).flatten(1).all(dim=1)
    assert torch.equal(mirrored, (flipped != video).flatten(1).any(dim=1))
    assert 70 < int(mirrored.sum()) < 130


def test_resize_is_bilinear_without_antialiasing():
    video = torch.randint(0, 256, (1, 2, 3, 140, 140), dtype=torch.uint8)
    small = augment.resize(video, 112)
    # pixel 0 lies at (0 + 0.5) * 1.25 - 0.5 = 0.125 of the source
    corner = video[0, 0, 0, :2, :2].double() / 255
    top, bottom = (0.875 * row[0] + 0.125 * row[1] for row in corner)
    assert small[0, 0, 0, 0, 0].item() == pytest.approx((0.875 * top + 0.125 * bottom).item(), abs=1e-6)
    assert small.shape == (1, 2, 3, 112, 112) and small.dtype == torch.float32


def test_grey_clips_have_equal_channels_and_the_usual_weights():
    video = torch.rand(100, 2, 3, 4, 4)
    grey = augment.grayscale_randomly(video, dice(100))
    lost = (grey[:, :, 0] == grey[:, :, 2]).flatten(1).all(dim=1)
    assert 30 < int(lost.sum()) < 70 and torch.equal(grey[~lost], video[~lost])
    expected = 0.2989 * video[:, :, 0] + 0.587 * video[:, :, 1] + 0.114 * video[:, :, 2]
    torch.testing.assert_close(grey[lost][:, :, 1], expected[lost])
    assert augment.grayscale_randomly(video, dice(100), chance=0) is video


def test_normalise_uses_imagenet():
    video = torch.tensor([0.485, 0.456, 1.0]).view(1, 1, 3, 1, 1)
    assert augment.normalise(video).flatten().tolist() == pytest.approx([0, 0, (1 - 0.406) / 0.225], abs=1e-6)


def test_erased_box_is_the_same_in_all_frames():
    video = torch.ones(300, 3, 3, 40, 40)
    erased = augment.erase_randomly(video, dice(300)) == 0
    assert torch.equal(erased, erased[:, :1, :1].expand_as(erased))
    boxes = [mask for mask in erased[:, 0, 0] if mask.any()]
    assert 120 < len(boxes) < 180
    for mask in boxes:
        tall, wide = (int(mask.any(dim=axis).sum()) for axis in (1, 0))
        assert int(mask.sum()) == tall * wide  # a full rectangle
        assert 0.015 < tall * wide / 1600 < 0.345
        assert 0.25 < tall / wide < 4
    shares = [mask.float().mean().item() for mask in boxes]
    assert min(shares) < 0.05 and max(shares) > 0.28


def test_spans_are_uniform_and_inside():
    spans = augment.draw_spans(dice(2000), length=25, longest=12)
    lengths = spans[:, 1] - spans[:, 0]
    assert lengths.min() == 0 and lengths.max() == 11
    assert spans.min() >= 0 and spans[:, 1].max() == 24  # 25 - length is never drawn, as published
    assert lengths.float().mean().item() == pytest.approx(5.5, abs=0.3)
    short = augment.draw_spans(dice(200), length=3, longest=12)
    assert short.max() <= 3 and (short[:, 1] >= short[:, 0]).all()


def test_spans_are_masked_along_their_axis():
    x = torch.ones(2, 3, 5)
    masked = augment.mask_spans(x, torch.tensor([[1, 3], [0, 0]]), dim=2)
    assert masked[0].tolist() == [[1, 0, 0, 1, 1]] * 3 and masked[1].eq(1).all() and x.eq(1).all()


def test_evaluation_is_the_centre_and_ignores_seeds():
    batch = random_batch(CLIP, 2)
    pixels, mel = prepare(batch, RECIPE, training=False)
    side, first = 40, 12  # 140 and 42 of 224, in pictures of 64
    crop = batch.video[..., first : first + side, first : first + side].flatten(0, 1).float() / 255
    small = F.interpolate(crop, (32, 32), mode="bilinear").unflatten(0, (2, 25))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = (small - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    torch.testing.assert_close(pixels, expected.transpose(1, 2))
    torch.testing.assert_close(mel, log_mel_20ms(batch.audio))
    again = prepare(replace(batch, seed=batch.seed + 99), RECIPE, training=False)
    assert torch.equal(again[0], pixels) and torch.equal(again[1], mel)


def test_mel_and_size_are_chosen():
    batch = random_batch(CLIP, 1)
    pixels, mel = prepare(batch, Recipe(crop=160, input_size=48, mel="whisper"), training=False)
    assert pixels.shape == (1, 3, 25, 48, 48)
    torch.testing.assert_close(mel, log_mel_whisper(batch.audio))


def test_training_depends_on_seeds_alone():
    batch = random_batch(CLIP, 6)
    raw = batch.video.clone()
    pixels, mel = prepare(batch, RECIPE, training=True)
    torch.manual_seed(123)
    again = prepare(batch, RECIPE, training=True)
    assert torch.equal(again[0], pixels) and torch.equal(again[1], mel) and torch.equal(batch.video, raw)
    for i in range(6):
        alone = prepare(batch.part(i, i + 1), RECIPE, training=True)
        assert torch.equal(alone[0][0], pixels[i]) and torch.equal(alone[1][0], mel[i])
    other = prepare(replace(batch, seed=batch.seed + 1000), RECIPE, training=True)
    assert all(not torch.equal(other[0][i], pixels[i]) for i in range(6))


def test_masked_frames_take_their_sound_along():
    batch = random_batch(CLIP, 40)
    pixels, mel = prepare(batch, RECIPE, training=True)
    quiet_frames = (pixels == 0).all(dim=(1, 3, 4))
    quiet_steps = (mel == 0).all(dim=1)
    assert torch.equal(quiet_steps, quiet_frames.repeat_interleave(4, dim=1))
    counts = quiet_frames.sum(dim=1)
    assert counts.max() <= 11 and counts.float().mean() > 3
    bands = (mel == 0).all(dim=2).sum(dim=1)
    assert bands.max() <= 26 and bands.float().mean() > 7
    for frames in quiet_frames:
        edges = torch.diff(frames.int()).abs().sum()
        assert edges <= 2  # one stretch


def test_training_crops_out_of_the_centre():
    batch = random_batch(replace(CLIP, size=224), 1)
    outside = torch.ones(224, 224, dtype=torch.bool)
    outside[32:192, 32:192] = False
    changed = replace(batch, video=batch.video.masked_fill(outside, 0))
    for seed in range(8):
        seeds = torch.tensor([seed])
        one = prepare(replace(batch, seed=seeds), RECIPE, training=True)[0]
        assert torch.equal(one, prepare(replace(changed, seed=seeds), RECIPE, training=True)[0])


def test_what_a_short_clip_lacks_is_zero():
    batch = replace(random_batch(CLIP, 2), frames=torch.tensor([25, 10]), samples=torch.tensor([16_000, 6_400]))
    for training in (False, True):
        pixels, mel = prepare(batch, RECIPE, training=training)
        assert not pixels[1, :, 10:].any() and not mel[1, :, 40:].any()
        assert pixels[0, :, -1].any() or training
        assert pixels[1, :, :10].any() and mel[1, :, :40].any()
