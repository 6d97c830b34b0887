"""MRDF: published names and sizes, the encoder of wav2vec 2.0, inputs, padding that nobody notices, 1 = real."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import get_args

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from avbench.bench.contract import random_batch
from avbench.config import resolve
from avbench.detector import probabilities
from avbench.media.frames import cut_region
from avbench.types import ClipBatch
from avbench_backbones.speech_features import logfbank
from avbench_mrdf.detector import MRDF
from avbench_mrdf.encoder import Encoder, EncoderSize
from avbench_mrdf.inputs import HEARD, pictures, sounds, valid_frames
from avbench_mrdf.plugin import Variant, avbench_detectors
from building import SMALL, build_detector

SPEC = next(iter(avbench_detectors()))
TINY = SMALL["mrdf"]
LAYERS = {"official": 0, "text": 12}  # as the published code builds it, and as the text says
ONE_LAYER = 4 * (768 * 768 + 768) + 2 * 768 * 3072 + 3072 + 768 + 2 * 2 * 768
PARAMETERS = {  # of "text"
    "ce": 104_431_110,
    "margin": 104_428_034,
    "avdf": 103_243_778,
    "ensemble": 12_880_004,
    "multilabel": 103_243_778,
    "multiclass": 103_245_316,
}
build = partial(build_detector, "mrdf")


def uneven_batch(detector: MRDF) -> ClipBatch:
    """Return clips of 10, 6 and 3 frames, padded as the harness pads, of which the second falls silent early."""
    batch = random_batch(detector.config.clip, 3)
    batch.frames, batch.samples = torch.tensor([10, 6, 3]), torch.tensor([6400, 2000, 1920])
    for row in range(3):
        batch.video[row, batch.frames[row] :] = 0
        batch.audio[row, batch.samples[row] :] = 0
    return batch


def alone(batch: ClipBatch, row: int) -> ClipBatch:
    """Return one clip of a batch without its padding."""
    clip = batch.part(row, row + 1)
    frames, samples = int(clip.frames), int(clip.samples)
    return replace(clip, video=clip.video[:, :frames], audio=clip.audio[:, :samples])


@pytest.mark.parametrize("preset", LAYERS)
@pytest.mark.parametrize("variant", get_args(Variant))
def test_published_sizes(variant: str, preset: str) -> None:
    with torch.device("meta"):
        detector = build(f"variant={variant}", preset=preset)
    fewer = 0 if variant == "ensemble" else (12 - LAYERS[preset]) * ONE_LAYER
    assert sum(p.numel() for p in detector.parameters()) == PARAMETERS[variant] - fewer


def test_the_published_build_holds_what_only_pretraining_asks_for() -> None:
    """Its 19,967,342 parameters are those here, a map of 768 to 768 and a masked frame of 104."""
    assert PARAMETERS["ce"] - 12 * ONE_LAYER + 768 * 768 + 768 + 104 == 19_967_342


@pytest.mark.parametrize(("preset", "layers"), LAYERS.items())
def test_published_names_and_shapes(preset: str, layers: int) -> None:
    """The names that fairseq, AV-HuBERT and MRDF give, written down layer by layer."""
    with torch.device("meta"):
        own = {name: tuple(value.shape) for name, value in build(preset=preset).network.state_dict().items()}
    expected: dict[str, tuple[int, ...]] = {}

    def linear(name: str, out: int, into: int) -> None:
        expected.update({f"{name}.weight": (out, into), f"{name}.bias": (out,)})

    def norm(name: str, width: int, *, batch: bool = False) -> None:
        expected.update({f"{name}.{part}": (width,) for part in ("weight", "bias")})
        if batch:
            running = {f"{name}.running_mean": (width,), f"{name}.running_var": (width,)}
            expected.update(running | {f"{name}.num_batches_tracked": ()})

    linear("model.feature_extractor_audio.proj", 768, 104)
    linear("model.feature_extractor_video.proj", 768, 512)
    stem, trunk = (f"model.feature_extractor_video.resnet.{part}" for part in ("frontend3D", "trunk"))
    expected |= {f"{stem}.0.weight": (64, 3, 5, 7, 7), f"{stem}.2.weight": (64,)}
    norm(f"{stem}.1", 64, batch=True)
    for layer, width in enumerate((64, 128, 256, 512), start=1):
        for block in (0, 1):
            into = 64 if layer == 1 else width if block else width // 2
            name = f"{trunk}.layer{layer}.{block}"
            expected |= {f"{name}.conv1.weight": (width, into, 3, 3), f"{name}.conv2.weight": (width, width, 3, 3)}
            expected |= {f"{name}.relu{k}.weight": (width,) for k in (1, 2)}
            norm(f"{name}.bn1", width, batch=True)
            norm(f"{name}.bn2", width, batch=True)
            if into != width:
                expected[f"{name}.downsample.0.weight"] = (width, into, 1, 1)
                norm(f"{name}.downsample.1", width, batch=True)
    norm("model.layer_norm", 1536)
    linear("model.post_extract_proj", 768, 1536)
    position = {"weight_g": (1, 1, 128), "weight_v": (768, 48, 128), "bias": (768,)}
    expected |= {f"model.encoder.pos_conv.0.{name}": shape for name, shape in position.items()}
    norm("model.encoder.layer_norm", 768)
    for layer in range(layers):
        name = f"model.encoder.layers.{layer}"
        for projection in "qkv":
            linear(f"{name}.self_attn.{projection}_proj", 768, 768)
        linear(f"{name}.self_attn.out_proj", 768, 768)
        linear(f"{name}.fc1", 3072, 768)
        linear(f"{name}.fc2", 768, 3072)
        norm(f"{name}.self_attn_layer_norm", 768)
        norm(f"{name}.final_layer_norm", 768)
    for stream in ("audio", "video"):
        norm(f"project_{stream}.0", 768)
        linear(f"project_{stream}.1", 768, 768)
        linear(f"{stream}_classifier.0", 2, 768)
    linear("mm_classifier.0", 768, 768)
    linear("mm_classifier.2", 2, 768)
    assert own == expected


@pytest.mark.parametrize("kernel", [8, 9])
def test_encoder_is_that_of_wav2vec(kernel: int) -> None:
    pytest.importorskip("avbench_backbones._torchaudio")  # mends what transformers would stumble over
    wav2vec2 = pytest.importorskip("transformers.models.wav2vec2.modeling_wav2vec2")
    size = EncoderSize(width=24, layers=3, heads=4, hidden=40, position_kernel=kernel, position_groups=3)
    settings = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 40}
    config = wav2vec2.Wav2Vec2Config(
        **settings, num_conv_pos_embeddings=kernel, num_conv_pos_embedding_groups=3, do_stable_layer_norm=False
    )
    config._attn_implementation = "eager"
    torch.manual_seed(0)
    ours, theirs = Encoder(size).eval(), wav2vec2.Wav2Vec2Encoder(config).eval()
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    renamed = {
        "pos_conv.0.weight_g": "pos_conv_embed.conv.parametrizations.weight.original0",
        "pos_conv.0.weight_v": "pos_conv_embed.conv.parametrizations.weight.original1",
        "pos_conv.0.bias": "pos_conv_embed.conv.bias",
        ".self_attn_layer_norm.": ".layer_norm.",
        ".self_attn.": ".attention.",
        ".fc1.": ".feed_forward.intermediate_dense.",
        ".fc2.": ".feed_forward.output_dense.",
    }
    state = {}
    for name, value in ours.state_dict().items():
        for here, there in renamed.items():
            name = name.replace(here, there)
        state[name] = value
    theirs.load_state_dict(state, strict=True)
    x_BTL, valid_BT = torch.randn(2, 11, 24), torch.arange(11) < torch.tensor([[11], [6]])
    with torch.no_grad():
        expected = theirs(x_BTL.clone(), attention_mask=valid_BT).last_hidden_state
        torch.testing.assert_close(ours(x_BTL, valid_BT)[valid_BT], expected[valid_BT], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("width", "deviation"), [(768, 0.02), (48, 0.08)])
def test_first_weights_are_as_published_and_as_loud_where_narrow(width: int, deviation: float) -> None:
    torch.manual_seed(0)
    layer = Encoder(EncoderSize(width=width, layers=1, heads=4, hidden=4 * width)).layers[0]
    for name in ("fc1.weight", "fc2.weight", "self_attn.v_proj.weight"):
        assert float(layer.get_parameter(name).std()) == pytest.approx(deviation, rel=0.05)


def test_pictures_are_halved_cropped_and_normalised_as_published() -> None:
    clip = resolve(SPEC, "binary", preset="official").clip
    assert clip.whole and clip.frames == 500 and clip.fps == 25
    picture = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    half = cv2.resize(picture, (112, 112))  # what the published code calls
    assert np.abs(cut_region(picture, "frame", clip.size).astype(int) - half).max() <= 1  # they round halves apart
    batch = random_batch(replace(clip, frames=2), 1)
    seen = pictures(batch, 100, training=False)
    middle = batch.video[0, :, :, 6:106, 6:106].transpose(0, 1)
    torch.testing.assert_close(seen[0], (middle / 255 - 0.421) / 0.165)


def test_training_crops_are_drawn_once_a_clip_and_by_its_seed() -> None:
    batch = random_batch(build(*TINY).config.clip, 6)
    batch.video = batch.video[:, :1].expand(-1, 10, -1, -1, -1).contiguous()
    seen = pictures(batch, 16, training=True)
    assert torch.equal(seen[:, :, :1].expand_as(seen), seen) and not torch.equal(
        seen, pictures(batch, 16, training=False)
    )
    torch.testing.assert_close(pictures(batch.take([4]), 16, training=True)[0], seen[4], rtol=0, atol=0)


def test_four_windows_are_one_frame_and_silence_is_zero() -> None:
    batch = uneven_batch(build(*TINY))
    heard = sounds(batch)
    assert heard.shape == (3, 10, HEARD) and HEARD == 104
    bank = logfbank(batch.audio[1:2, :2000] * 32768, 16_000)[0]  # 11 windows: 2 frames and three windows of a third
    assert bank.shape == (11, 26)
    for frame in (0, 1):
        row = bank[4 * frame : 4 * frame + 4].flatten()
        expected = (row - row.mean()) / (row.var(unbiased=False) + 1e-5).sqrt()
        torch.testing.assert_close(heard[1, frame], expected, rtol=1e-4, atol=1e-4)
    filled = F.layer_norm(torch.cat([bank[8:].flatten(), torch.zeros(26)]), (104,))
    torch.testing.assert_close(heard[1, 2], filled)
    assert (heard[1, 3:] == 0).all() and (heard[2, 3:] == 0).all() and heard[0].abs().sum(dim=1).min() > 0


@pytest.mark.parametrize("variant", get_args(Variant))
def test_a_score_does_not_depend_on_the_length_of_batch_mates(variant: str) -> None:
    detector = build(*TINY, f"variant={variant}").eval()
    batch = uneven_batch(detector)
    with torch.no_grad():
        together = detector(batch)
        for row in range(3):
            single = detector(alone(batch, row))
            torch.testing.assert_close(probabilities(single)[0][0], probabilities(together)[0][row])
            for name, value in single.aux.items():
                torch.testing.assert_close(value[0], together.aux[name][row], rtol=1e-4, atol=1e-5, msg=name)
            assert probabilities(together)[0].std() > 0


def test_padding_is_in_no_batch_statistic() -> None:
    statistics = []
    for more in (0, 7):
        detector = build(*TINY).train()
        batch = uneven_batch(detector)
        video = torch.cat([batch.video, torch.zeros_like(batch.video[:, :more])], dim=1)
        padded = replace(batch, video=video)
        detector.network.see(pictures(padded, 16, training=True), valid_frames(padded))
        statistics.append({k: v for k, v in detector.state_dict().items() if "running" in k})
    for name, value in statistics[0].items():
        torch.testing.assert_close(statistics[1][name], value, msg=name)
    seen = build(*TINY).network.model.feature_extractor_video.resnet.frontend3D
    batch = uneven_batch(build(*TINY))
    drawn_BCTHW = seen[0](pictures(batch, 16, training=True))
    mean_C = torch.cat([drawn_BCTHW[row, :, : batch.frames[row]].flatten(1) for row in range(3)], dim=1).mean(dim=1)
    stem = "network.model.feature_extractor_video.resnet.frontend3D.1.running_mean"
    torch.testing.assert_close(statistics[0][stem], 0.1 * mean_C)


def test_published_class_1_is_real() -> None:
    batch = random_batch(build(*TINY).config.clip, 4)
    assert batch.forgery.tolist() == [0, 1, 2, 3]
    detector = build(*TINY).eval()
    heads = {"": "mm_classifier.2", "_video": "video_classifier.0", "_audio": "audio_classifier.0"}
    with torch.no_grad():
        for name in heads.values():
            detector.network.get_parameter(f"{name}.weight").zero_()
            detector.network.get_parameter(f"{name}.bias").copy_(torch.tensor([-2.0, 2.0]))  # all are called real
        output = detector(batch)
        found = detector.loss(output, batch)
    assert output.p_video is not None and output.p_audio is not None
    for p_fake in (probabilities(output)[0], output.p_video, output.p_audio):
        torch.testing.assert_close(p_fake.float(), torch.full((4,), torch.sigmoid(torch.tensor(-4.0))))
    wrong = F.softplus(torch.tensor([4.0, -4.0]))  # of a fake, of a real one
    torch.testing.assert_close(found["loss_clip"], (3 * wrong[0] + wrong[1]) / 4)
    torch.testing.assert_close(found["loss_video"], (2 * wrong[0] + 2 * wrong[1]) / 4)
    batch.forgery = torch.tensor([1, 1, 1, 3])  # pictures fake in all, sound in one
    found = detector.loss(output, batch)
    torch.testing.assert_close(found["loss_video"], wrong[0])
    torch.testing.assert_close(found["loss_audio"], (wrong[0] + 3 * wrong[1]) / 4)


@pytest.mark.parametrize("variant", ["ce", "multiclass"])
def test_four_classes_are_in_the_order_of_forgery(variant: str) -> None:
    detector = build(*TINY, f"variant={variant}", task="four_class").eval()
    batch = random_batch(detector.config.clip, 4)
    with torch.no_grad():
        detector.network.mm_classifier[2].weight.zero_()
        detector.network.mm_classifier[2].bias.copy_(torch.tensor([0.0, 5.0, 0.0, 0.0]))  # fake video, real sound
        output = detector(batch)
        p_BK = probabilities(output)[1]
        assert p_BK is not None and (p_BK.argmax(dim=1) == 1).all()
        batch.forgery[:] = 1
        right = detector.loss(output, batch)["loss_clip"]
        batch.forgery[:] = 2
        assert right < 0.1 < detector.loss(output, batch)["loss_clip"]


@pytest.mark.parametrize("variant", ["ensemble", "multilabel"])
def test_two_labels_are_real_where_both_are(variant: str) -> None:
    detector = build(*TINY, f"variant={variant}").eval()
    video, audio = torch.tensor([2.0, -2.0, 2.0, -2.0]), torch.tensor([1.0, 1.0, -1.0, -1.0])  # above 0: called real
    if variant == "ensemble":
        out = {"logits_video": torch.stack([-video, video], 1), "logits_audio": torch.stack([-audio, audio], 1)}
    else:
        out = {"logits": torch.stack([audio, video], dim=1)}  # the sound comes first
    detector.network.classify = lambda *features: out  # type: ignore[method-assign]
    batch = random_batch(detector.config.clip, 4)  # RARV, RAFV, FARV, FAFV: as it is called
    with torch.no_grad():
        output = detector(batch)
        assert output.p_video is not None and output.p_audio is not None and output.score is not None
        assert ((output.p_video > 0.5) == (batch.forgery & 1).bool()).all()
        assert ((output.p_audio > 0.5) == (batch.forgery >> 1).bool()).all()
        assert ((output.score > 0.5) == (batch.forgery > 0)).all()
        right = detector.loss(output, batch)["loss"]
        batch.forgery = batch.forgery.flip(0)
        assert right < detector.loss(output, batch)["loss"]
