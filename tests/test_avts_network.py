"""AVTS' network: published names, sizes and arithmetic of both configurations."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from avbench_avts.encoders import SoundBlock
from avbench_avts.model import Sizes, SynchronisationNetwork, TemporalClassifier, contrast

TRAIN_SIZES = Sizes("train", 18, 768, 1)


def meta(sizes: Sizes) -> SynchronisationNetwork:
    with torch.device("meta"):
        return SynchronisationNetwork(sizes)


def counted(network: SynchronisationNetwork) -> dict[str, int]:
    return {name: sum(p.numel() for p in part.parameters()) for name, part in network.named_children()}


def test_published_sizes() -> None:
    count = counted(meta(Sizes()))
    assert count == {"v_encoder": 11_186_688, "a_encoder": 11_346_480, "temporal_classifier": 37_808_129}
    count = counted(meta(TRAIN_SIZES))
    assert count["v_encoder"] == 3_576_432 and count["a_encoder"] == 2_972_352
    with torch.device("meta"):
        checkpoint, train = meta(Sizes()), meta(TRAIN_SIZES)
        assert checkpoint.see(torch.empty(2, 3, 1, 5, 224, 224)).shape == (2, 3, 5, 512)
        assert checkpoint.hear(torch.empty(2, 3, 19, 13)).shape == (2, 3, 5, 512)
        assert train.see(torch.empty(2, 1, 3, 18, 224, 224)).shape == (2, 1, 9, 768)
        assert train.hear(torch.empty(2, 1, 71, 13)).shape == (2, 1, 9, 768)


def norm_names(*names: str) -> list[str]:
    parts = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    return [f"{name}.{part}" for name in names for part in parts]


def classifier_names(depth: int) -> list[str]:
    names = ["pos_embedding", "cls_token"]
    for i in range(depth):
        at = f"transformer.layers.{i}"
        names += [f"{at}.0.fn.to_qkv.weight"]
        affine = ("0.norm", "0.fn.to_out.0", "1.norm", "1.fn.net.0", "1.fn.net.3")
        names += [f"{at}.{name}.{part}" for name in affine for part in ("weight", "bias")]
    names += [f"mlp_head.{i}.{part}" for i in (0, 1) for part in ("weight", "bias")]
    return [f"temporal_classifier.{name}" for name in names]


def test_names_of_the_released_checkpoint() -> None:
    names = ["v_encoder.v_conv3D.0.weight", *norm_names("v_encoder.v_conv3D.1"), "v_encoder.v_conv3D.2.weight"]
    names += ["a_encoder.conv1.weight", *norm_names("a_encoder.bn1")]
    for layer in range(4):
        for block in (0, 1):
            seen, heard = f"v_encoder.v_conv2D.layers.{layer}.{block}", f"a_encoder.layer{layer + 1}.{block}"
            for number in (1, 2):
                names += [f"{seen}.relu{number}.weight"]
                for at in (seen, heard):
                    names += [f"{at}.conv{number}.weight", *norm_names(f"{at}.bn{number}")]
            names += [f"{heard}.se.fc.{i}.{part}" for i in (0, 2) for part in ("weight", "bias")]
            if layer and not block:
                for at in (seen, heard):
                    names += [f"{at}.downsample.0.weight", *norm_names(f"{at}.downsample.1")]
    state = meta(Sizes()).state_dict()
    assert sorted(state) == sorted(names + classifier_names(6))
    assert state["temporal_classifier.pos_embedding"].shape == (1, 6, 1024)
    assert state["temporal_classifier.mlp_head.1.weight"].shape == (1, 1024)
    assert state["a_encoder.layer4.0.se.fc.0.weight"].shape == (64, 512)


def test_names_of_the_training_code() -> None:
    names = ["v_encoder.conv1.weight", *norm_names("v_encoder.bn1.0", "v_normalized", "a_normalized")]
    for layer, blocks in ((1, 3), (2, 4), (3, 6)):
        for block in range(blocks):
            at = f"v_encoder.layer{layer}.{block}"
            names += [f"{at}.conv{number}.weight" for number in (1, 2, 3)]
            names += norm_names(f"{at}.bn1", f"{at}.bn2.0" if layer > 1 and not block else f"{at}.bn2", f"{at}.bn3")
            if not block:
                names += [f"{at}.downsample.0.weight", *norm_names(f"{at}.downsample.1")]
    for at, norm in (("layer1.0", "layer1.1"), ("layer2.0", "layer2.1"), ("layer3.0", "layer3.1")):
        names += [f"a_encoder.{at}.{part}" for part in ("weight", "bias")] + norm_names(f"a_encoder.{norm}")
    for i in (3, 6):
        names += [f"a_encoder.layer3.{i}.{part}" for part in ("weight", "bias")]
        names += norm_names(f"a_encoder.layer3.{i + 1}")
    names += ["a_encoder.layer4.0.weight", "a_encoder.layer4.0.bias"]
    state = meta(TRAIN_SIZES).state_dict()
    assert sorted(state) == sorted(names + classifier_names(1))
    kernel = {
        name: tuple(state[f"v_encoder.{name}.conv1.weight"].shape[2:]) for name in ("layer1.1", "layer2.1", "layer2.2")
    }
    assert kernel == {"layer1.1": (3, 1, 1), "layer2.1": (1, 1, 1), "layer2.2": (3, 1, 1)}
    assert state["temporal_classifier.pos_embedding"].shape == (1, 19, 1536)


def test_sound_block_has_relu_before_its_first_norm() -> None:
    block = SoundBlock(8, 8, 1).eval()
    for norm in (block.bn1, block.bn2):
        norm.running_mean.copy_(torch.randn(8))
        norm.running_var.copy_(torch.rand(8) + 0.5)
    x = torch.randn(2, 8, 6, 5)

    def normalised(x: Tensor, norm: torch.nn.BatchNorm2d) -> Tensor:
        return (x - norm.running_mean[:, None, None]) / (norm.running_var[:, None, None] + 1e-5).sqrt()

    with torch.no_grad():
        out = normalised(F.conv2d(x, block.conv1.weight, padding=1).clamp(min=0), block.bn1)
        out = normalised(F.conv2d(out, block.conv2.weight, padding=1), block.bn2)
        first, last = block.se.fc[0], block.se.fc[2]
        means = out.mean(dim=(2, 3))
        gate = torch.sigmoid((means @ first.weight.T + first.bias).clamp(min=0) @ last.weight.T + last.bias)
        torch.testing.assert_close(block(x), (out * gate[:, :, None, None] + x).clamp(min=0))


def test_classifier_is_the_published_transformer() -> None:
    sizes = Sizes(frames=5, depth=2, heads=2, head_width=4, hidden=12)
    classifier = TemporalClassifier(6, sizes).eval()
    state, x = classifier.state_dict(), torch.randn(1, 5, 6)

    def affine(x: Tensor, name: str) -> Tensor:
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def normed(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (6,), state[f"{name}.weight"], state[f"{name}.bias"])

    h = torch.cat([state["cls_token"][0], x[0]]) + state["pos_embedding"][0]
    for i in (0, 1):
        at = f"transformer.layers.{i}"
        qkv = normed(h, f"{at}.0.norm") @ state[f"{at}.0.fn.to_qkv.weight"].T
        q, k, v = qkv[:, :8], qkv[:, 8:16], qkv[:, 16:]
        heads = [
            torch.softmax(q[:, s] @ k[:, s].T / 2, dim=1) @ v[:, s] for s in (slice(0, 4), slice(4, 8))
        ]  # 2 = sqrt of the head's width
        h = h + affine(torch.cat(heads, dim=1), f"{at}.0.fn.to_out.0")
        h = h + affine(F.gelu(affine(normed(h, f"{at}.1.norm"), f"{at}.1.fn.net.0")), f"{at}.1.fn.net.3")
    with torch.no_grad():
        torch.testing.assert_close(classifier(x)[0], affine(normed(h[0], "mlp_head.0"), "mlp_head.1"))


def test_contrast_by_hand() -> None:
    seen, heard = torch.randn(2, 3, 2, 4), torch.randn(2, 3, 2, 4)
    expected = []
    for clip in range(2):
        vectors = [x.flatten().numpy() for x in (*seen[clip], *heard[clip])]
        vectors = [v / np.linalg.norm(v) for v in vectors]
        losses = []
        for anchor in range(6):
            positive = np.exp(vectors[anchor] @ vectors[(anchor + 3) % 6] / 0.07)
            others = [i for i in range(6) if i % 3 != anchor % 3]
            negative = sum(np.exp(vectors[anchor] @ vectors[i] / 0.07) for i in others)
            losses.append(-np.log(positive / (positive + negative)))
        expected.append(np.mean(losses))
    np.testing.assert_allclose(contrast(seen, heard, 0.07).numpy(), expected, rtol=1e-4)
