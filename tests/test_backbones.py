"""Published encoders: sizes, names, golden outputs of the published code, parity with transformers."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from avbench_backbones import checkpoints
from avbench_backbones._torchaudio import torchaudio
from avbench_backbones.checkpoints import load_strict, read_checkpoint
from avbench_backbones.csn import CSN
from avbench_backbones.graphau import FGG, ANFLHead, GraphAUEncoder
from avbench_backbones.mel import log_mel_20ms, log_mel_whisper
from avbench_backbones.whisper import WhisperEncoder, WhisperSize, sinusoids

WHISPER_SHA256 = "479cf13de74ac35ae908c59af22e809c03f0897baed1b91a2e0d1abd59ece6c2"
TINY = WhisperSize(state=64, heads=4, layers=2)


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def waves(*shape: int, step: float, phase: float = 0.0) -> Tensor:
    count = torch.Size(shape).numel()
    return torch.sin(torch.arange(count, dtype=torch.float64) * step + phase).float().reshape(shape)


def fill(state: Mapping[str, Tensor]) -> None:
    """Give every weight a value that depends only on its name's place, as was done for the golden numbers."""
    for index, (name, entry) in enumerate(sorted(state.items())):
        wave = waves(*entry.shape, step=0.7, phase=index) if entry.is_floating_point() else entry
        if entry.ndim == 1:
            scale = name.endswith((".weight", "running_var"))
            entry.copy_(1 + 0.5 * wave if scale else 0.2 * wave)
        elif entry.ndim > 1:
            entry.copy_(wave * (2 / entry[0].numel()) ** 0.5)


# CSN


@pytest.fixture(scope="module")
def csn101() -> CSN:
    with torch.device("meta"):
        return CSN(101)


def test_csn101_has_the_published_size(csn101: CSN) -> None:
    assert parameters(csn101) == 21_394_176
    assert len(csn101.state_dict()) == 624
    with torch.device("meta"):
        assert parameters(CSN(101, classes=400)) == 22_213_776
        assert csn101(torch.empty(1, 3, 25, 112, 112)).shape == (1, 2048, 25, 4, 4)
        assert CSN(50, temporal_strides=(1, 2, 2, 2))(torch.empty(1, 3, 32, 224, 224)).shape == (1, 2048, 4, 7, 7)
        assert CSN((1, 1, 1, 1), width=8, stem_pool=False)(torch.empty(2, 3, 5, 64, 64)).shape == (2, 256, 5, 4, 4)


def test_csn101_has_the_published_names_and_shapes(csn101: CSN, specs_root: Path) -> None:
    listing = (specs_root / "data" / "csn101.keys.txt").read_text("utf-8")
    published = dict(line.split("\t") for line in listing.splitlines())
    del published["df_head.weight"]
    assert {f"backbone.{name}": str(tuple(entry.shape)) for name, entry in csn101.state_dict().items()} == published


def test_csn_equals_pytorchvideo() -> None:
    """Golden numbers of pytorchvideo 0.1.5's create_csn, depth 50, stem width 4, temporal strides (1, 2, 1, 2)."""
    csn = CSN(50, width=4, temporal_strides=(1, 2, 1, 2)).eval()
    fill(csn.state_dict())
    with torch.no_grad():
        features = csn(waves(1, 3, 4, 64, 64, step=0.01))
    assert features.shape == (1, 128, 1, 2, 2)
    golden = [231.67479, 227.84192, 136.65269, 214.76672, 68.053146]
    assert features[0, ::31, 0, 1, 0].tolist() == pytest.approx(golden, rel=1e-4)
    assert features.mean().item() == pytest.approx(43.751228, rel=1e-4)


def test_ip_csn_mixes_channels_before_the_depthwise_convolution() -> None:
    ir, ip = (CSN((1, 1, 1, 1), width=4, variant=variant).eval() for variant in ("ir", "ip"))
    load_strict(ip, ir.state_dict() | {name: entry for name, entry in ip.state_dict().items() if "_ip" in name})
    for stage in (1, 2, 3, 4):
        branch: Any = ip.get_submodule(f"blocks.{stage}.res_blocks.0.branch2")
        nn.init.dirac_(branch.conv_ip.weight)
    clip = waves(1, 3, 2, 32, 32, step=0.1)
    with torch.no_grad():
        torch.testing.assert_close(ip(clip), ir(clip), rtol=1e-3, atol=1e-3)
        branch.conv_ip.weight.neg_()  # without an activation between, the sign must reach the depthwise convolution
        branch.conv_b.weight.neg_()
        torch.testing.assert_close(ip(clip), ir(clip), rtol=1e-3, atol=1e-3)


def test_csn_refuses_what_it_is_not() -> None:
    with pytest.raises(ValueError, match="depth 34"):
        CSN(34)
    with pytest.raises(ValueError, match="four"):
        CSN((1, 1, 1))


# Whisper


def huggingface_encoder(size: WhisperSize) -> nn.Module:
    from transformers import WhisperConfig
    from transformers.models.whisper import modeling_whisper

    config = WhisperConfig(
        d_model=size.state,
        encoder_attention_heads=size.heads,
        encoder_layers=size.layers,
        encoder_ffn_dim=4 * size.state,
        num_mel_bins=size.mels,
        max_source_positions=50,
    )
    torch.manual_seed(0)
    encoder: nn.Module = modeling_whisper.WhisperEncoder(config)
    for name, parameter in encoder.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter)
    return encoder.eval()


def assert_same_encoding(ours: WhisperEncoder, theirs: Any, mel: Tensor) -> None:
    with torch.no_grad():
        found, expected = ours.eval()(mel), theirs(mel).last_hidden_state
    assert found.shape == (len(mel), 50, ours.size.state)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_whisper_base_has_the_published_size() -> None:
    encoder = WhisperEncoder("base", n_ctx=50)
    assert parameters(encoder) == 19_822_592
    assert len(encoder.state_dict()) == 97
    assert torch.equal(sinusoids(50, 512), sinusoids(1500, 512)[:50])
    with pytest.raises(ValueError, match="n_ctx is 50"):
        encoder(torch.zeros(1, 80, 102))


def test_whisper_equals_transformers_with_random_weights() -> None:
    theirs = huggingface_encoder(TINY)
    ours = WhisperEncoder(TINY, n_ctx=50)
    whole = {f"model.encoder.{name}": entry for name, entry in theirs.state_dict().items()}
    whole |= {"model.decoder.layers.0.fc1.weight": torch.zeros(1), "proj_out.weight": torch.zeros(1)}
    for state in (whole, theirs.state_dict()):
        load_strict(ours, checkpoints.whisper_state(state), ignored_prefixes=("positional_embedding",))
    assert_same_encoding(ours, theirs, waves(2, 80, 100, step=0.37))


def test_whisper_equals_transformers_with_the_published_weights(weights_root: Path) -> None:
    checkpoint = read_checkpoint(weights_root / "whisper_base_encoder.pt", WHISPER_SHA256)
    state = checkpoints.whisper_state(checkpoint)
    ours = WhisperEncoder("base", n_ctx=50)
    load_strict(ours, state, ignored_prefixes=("positional_embedding",))
    theirs = huggingface_encoder(ours.size)
    to_theirs = [("blocks", "layers"), ("attn_ln", "self_attn_layer_norm"), ("mlp_ln", "final_layer_norm")]
    to_theirs += [("mlp.0", "fc1"), ("mlp.2", "fc2"), ("ln_post", "layer_norm"), (".attn.", ".self_attn.")]
    to_theirs += [("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj"), (".out.", ".out_proj.")]
    renamed = {"embed_positions.weight": sinusoids(50, 512)}
    for name, entry in state.items():
        for here, there in to_theirs:
            name = name.replace(here, there)
        renamed[name] = entry
    theirs.load_state_dict(renamed, strict=True)
    sound = waves(1, 16_000, step=0.05) * waves(1, 16_000, step=0.0007)
    assert_same_encoding(ours, theirs, log_mel_whisper(sound))


# Mel spectrograms


@pytest.fixture
def sounds() -> Tensor:
    """Three clips of very different loudness, the last one silent."""
    torch.manual_seed(0)
    return torch.randn(3, 16_000) * torch.tensor([[0.3], [1e-4], [0.0]])


def test_log_mel_whisper_equals_transformers(sounds: Tensor) -> None:
    from transformers import WhisperFeatureExtractor

    extractor = WhisperFeatureExtractor(feature_size=80, chunk_length=1)
    clips = [sound.numpy() for sound in sounds]
    expected = extractor(clips, sampling_rate=16_000, return_tensors="pt").input_features
    torch.testing.assert_close(log_mel_whisper(sounds), expected, rtol=0, atol=2e-5)


def test_log_mel_20ms_equals_torchaudio(sounds: Tensor) -> None:
    spectrogram = torchaudio.transforms.MelSpectrogram(16_000, n_fft=512, win_length=320, hop_length=160, n_mels=80)
    for sound, found in zip(sounds, log_mel_20ms(sounds), strict=True):
        mel = spectrogram(sound)[:, :100]
        peak = math.log10(max(1e-10, mel.max().item()))
        decibels = torchaudio.functional.amplitude_to_DB(mel, 10.0, 1e-10, peak, top_db=80.0)
        torch.testing.assert_close(found, (decibels + 40) / 40, rtol=0, atol=1e-5)


@pytest.mark.parametrize("log_mel", [log_mel_whisper, log_mel_20ms])
def test_mels_depend_on_neither_batch_mates_nor_autocast(log_mel: Callable[[Tensor], Tensor], sounds: Tensor) -> None:
    alone = torch.cat([log_mel(sound[None]) for sound in sounds])
    torch.testing.assert_close(log_mel(sounds), alone, rtol=0, atol=1e-6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(log_mel(sounds), log_mel(sounds.clone()))
        assert log_mel(sounds.double()).dtype == torch.float32
        torch.testing.assert_close(log_mel(sounds), alone, rtol=0, atol=1e-6)


def test_torchaudio_and_transformers_work_where_the_compiled_part_does_not_load() -> None:
    script = """
import torch
def refuse(path):
    raise OSError(f"Could not load this library: {path}")
torch.ops.load_library = refuse
from avbench_backbones._torchaudio import torchaudio
assert torchaudio.functional.resample(torch.ones(1, 320), 32_000, 16_000).shape == (1, 160)
assert torchaudio.models.wav2vec2_base and torchaudio.transforms.MFCC
import transformers
assert transformers.WhisperModel.__name__ == "WhisperModel"
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


# ME-GraphAU


def test_graphau_encoder_has_the_published_size() -> None:
    with torch.device("meta"):
        encoder = GraphAUEncoder(50)
        assert encoder(torch.empty(2, 3, 112, 112)).shape == (2, 16, 512)
        assert GraphAUEncoder((1, 1, 1, 1), width=8, block="basic")(torch.empty(2, 3, 64, 96)).shape == (2, 6, 16)
    assert parameters(encoder) == 24_558_144
    assert len(encoder.state_dict()) == 325


def test_graphau_equals_the_published_code() -> None:
    """Golden numbers of CVI-SZU/ME-GraphAU's MEFARG (resnet18, 12 units, 4 neighbours), BatchNorm in training mode."""
    encoder, head = GraphAUEncoder(18), ANFLHead(128, units=12, neighbours=4)
    fill(encoder.state_dict() | {f"head.{name}": entry for name, entry in head.state_dict().items()})
    with torch.no_grad():
        found = head(encoder(waves(2, 3, 64, 64, step=0.013)))
    golden = [
        [0.54932, 0.43193, 0.49385, 0.52937, 0.35183, 0.31388, 0.43574, 0.57585, 0.56415, 0.48664, 0.45003, 0.45655],
        [0.54802, 0.42524, 0.48104, 0.52837, 0.35254, 0.32332, 0.43547, 0.53994, 0.55359, 0.48269, 0.43601, 0.46319],
    ]
    torch.testing.assert_close(found, torch.tensor(golden), rtol=0, atol=1e-4)


def test_fgg_joins_each_unit_to_its_most_similar_ones() -> None:
    nodes = torch.tensor([[[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [-1.0, 0.5]]])
    joined = FGG(2, units=4, neighbours=2).adjacency(nodes)[0]
    assert (joined > 0).int().tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]
    torch.testing.assert_close(joined[joined > 0], torch.full((8,), 0.5))
