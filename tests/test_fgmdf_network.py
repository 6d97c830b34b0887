"""The network of FGMDF: published names, sizes and logits; every attention and the pool against loops in numpy."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avbench_fgmdf.audio import PreActivatedBlock
from avbench_fgmdf.graph import CrossAttention, Pool, TimeGraphAttention, first_edges, kept
from avbench_fgmdf.network import FGMDF, Size
from avbench_fgmdf.video import NegativeSimilarity, TimeAttention

Array = NDArray[np.float64]


def numbers(value: Tensor) -> Array:
    return value.detach().double().numpy()


def softmax(row: Array) -> Array:
    weights = np.exp(row - row.max())
    return weights / weights.sum()


@torch.no_grad()
def wave_weights(network: nn.Module) -> None:
    """Fill every weight and statistic with a sine of its own, so that no term of the network is idle."""
    for place, (name, value) in enumerate(sorted(network.state_dict().items())):
        if not value.is_floating_point():
            continue
        wave = torch.arange(value.numel(), dtype=torch.float64) * (0.7 + 0.01 * place) + place
        wave = wave.sin().view(value.shape)
        if name.endswith("running_var"):
            wave = 1 + 0.5 * wave
        elif "gamma" in name or (value.ndim == 1 and name.endswith("weight")):
            wave = 1 + 0.2 * wave
        else:
            wave = wave * (1.4 / math.sqrt(value[0].numel()) if value.ndim > 1 else 0.2)
        value.copy_(wave)


# the published network


def test_published_size_and_names() -> None:
    network = FGMDF()
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in network.named_children()}
    assert sum(count.values()) == 2_664_044
    assert count["video_encoder"] == 539_110 and count["audio_encoder"] == 188_066
    rounds = {f"{part}{n}" for part in ("GAT_layer", "audio_GAT_layer", "pool", "audio_pool") for n in (1, 2, 3)}
    crosses = {f"cross_att{n}" for n in (1, 2, 3, 4)}
    assert set(count) == {"video_encoder", "audio_encoder", "video_pre", "audio_pre", "mix_pre"} | rounds | crosses
    assert (network.video_pre.in_features, network.audio_pre.in_features, network.mix_pre.in_features) == (192, 64, 256)
    lines = sorted(f"{name}\t{tuple(value.shape)}" for name, value in network.state_dict().items())
    assert len(lines) == 541
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert digest == "8feb23afe7edde8e7bcbfc95f5374f1cabc44e6d6365adf6d0284434e186fb69", (
        "an entry differs from those of the published code"
    )
    assert sum(p.numel() for p in FGMDF(Size(classes=2)).parameters()) == 2_664_044 - 2 * 257


def test_published_logits() -> None:
    network = FGMDF().eval()
    wave_weights(network)
    n = torch.arange(2 * 10 * 4 * 3 * 64 * 64, dtype=torch.float64)
    video = (0.5 + 0.5 * torch.sin(n * 0.013 + (n / 5e3).sin())).float().view(2, 10, 4, 3, 64, 64)
    t = torch.arange(64_000, dtype=torch.float64) / 16_000
    hum = 0.4 * torch.sin(2 * math.pi * 220 * t) * torch.sin(2 * math.pi * 1.5 * t) + 0.1 * torch.sin(
        6000 * math.pi * t
    )
    chirp = 0.3 * torch.sin(2 * math.pi * (100 * t + 480 * t * t))
    with torch.no_grad():
        logits = network(video, torch.stack([hum, chirp]).float())
    published = {  # of the published code with these weights and inputs
        "mix": [[-0.124258, -1.013784, 1.900344, -2.294446], [-0.125629, -1.012593, 1.899652, -2.294435]],
        "video": [[-4.474175, -0.048362], [-4.414763, -0.091188]],
        "audio": [[0.742150, -1.042917], [0.736347, -1.033083]],
    }
    for name, expected in published.items():
        torch.testing.assert_close(logits[name], torch.tensor(expected), rtol=1e-4, atol=1e-4)


# attentions and pool, one number at a time


def test_negative_similarity_in_loops() -> None:
    torch.manual_seed(0)
    module, frames, height, width = NegativeSimilarity(16, 4), 4, 3, 5
    x = torch.randn(2 * frames, 16, height, width)
    q, k = numbers(module.q_conv(x)), numbers(module.k_conv(x))
    expected = np.zeros((2 * frames, height, width))
    for clip in range(2):
        first = clip * frames
        score, spread = np.zeros((frames, height, width)), np.zeros((height, width))
        for i in range(height):
            for j in range(width):
                for t in range(frames):
                    for other in range(frames):
                        a, b = q[first + t, :, i, j], k[first + other, :, i, j]
                        score[t, i, j] -= a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
                spread[i, j] = score[:, i, j].var()
        bound = sorted(spread.ravel(), reverse=True)[height - 1]
        score[:, spread <= bound] = -frames
        assert (score[0] > -frames).sum() == height - 1
        for t in range(frames):
            low, high = score[t].min(), score[t].max()
            expected[first + t] = (score[t] - low) / (high - low)
    np.testing.assert_allclose(numbers(module.attention(x))[:, 0], expected, atol=1e-5)
    assert torch.equal(module(x), x), "gamma starts at zero"
    module.gamma.data.fill_(2.0)
    said = numbers(module.v_conv(x)) * expected[:, None]
    np.testing.assert_allclose(numbers(module(x)), numbers(x) + 2 * said, atol=1e-4)


def test_a_still_group_is_attended_nowhere_and_is_finite() -> None:
    module = NegativeSimilarity(16, 4)
    attention = module.attention(torch.zeros(4, 16, 3, 3))
    assert torch.equal(attention, torch.zeros(4, 1, 3, 3))


def test_time_attention_at_three_paces_in_loops() -> None:
    torch.manual_seed(0)
    module, frames = TimeAttention(8, 4).eval(), 4
    wave_weights(module)
    x = torch.randn(2 * frames, 8, 2, 3)
    weights = {name: numbers(value) for name, value in module.state_dict().items() if value.is_floating_point()}

    def normed(name: str, value: Array) -> Array:
        mean, variance = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
        return (value - mean) / np.sqrt(variance + 1e-5) * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def convolved(name: str, steps: Array) -> Array:
        """Filter (T,C) along time, three steps a channel, then mix the channels."""
        kernel = weights[f"{name}.0.conv1.weight"].reshape(8, 3)
        padded = np.pad(steps, ((1, 1), (0, 0)))
        filtered = np.stack([sum(kernel[:, k] * padded[t + k] for k in range(3)) for t in range(len(steps))])
        return np.stack([normed(f"{name}.1", weights[f"{name}.0.pointwise.weight"][:, :, 0, 0] @ f) for f in filtered])

    def direction(name: str, place: Array) -> Array:
        total = np.zeros((frames, 2))
        for pace, window in (("", 1), ("_down", 2), ("_down2", 4)):
            slower = place.reshape(frames // window, window, 8).mean(axis=1)
            total += np.repeat(convolved(f"{name}_conv{pace}", slower), window, axis=0) / 3
        merge = f"{name}_conv_merge"
        mixed = total @ weights[f"{merge}.0.weight"][:, :, 0, 0].T + weights[f"{merge}.0.bias"]
        return 1 / (1 + np.exp(-np.stack([normed(f"{merge}.1", row) for row in mixed]))) - 0.5

    found, pixels = numbers(module(x)), numbers(x)
    for first in (0, frames):
        for i in range(2):
            for j in range(3):
                place = pixels[first : first + frames, :, i, j]
                attention = (direction("horizontal", place) + direction("vertical", place)) / 2
                expected = place + weights["gamma"] * attention * place
                np.testing.assert_allclose(found[first : first + frames, :, i, j], expected, atol=1e-5)


def test_graph_attention_with_signed_distances_in_loops() -> None:
    torch.manual_seed(0)
    module, x = TimeGraphAttention(8, 4).eval(), torch.randn(1, 5, 8)
    wave_weights(module)
    q, k, v = (numbers(part(x))[0] for part in (module.att_q, module.att_k, module.att_v))
    expected = np.zeros((5, 5))
    for i in range(5):
        score = np.zeros(5)
        for j in range(5):
            likeness = q[i] @ k[j] / (np.linalg.norm(q[i]) * np.linalg.norm(k[j])) + 1
            score[j] = likeness / (0.5 if i == j else j - i)
        assert (score[:i] <= 0).all() and (score[i:] >= 0).all(), "the past counts against itself"
        expected[i] = softmax(score)
    np.testing.assert_allclose(numbers(module.attention(x))[0], expected, atol=1e-5)
    weight, bias = numbers(module.proj_without_att.weight)[:, :, 0], numbers(module.proj_without_att.bias)
    nodes = numbers(x)[0]
    own = np.stack([[weight[o] @ node[2 * o : 2 * o + 2] + bias[o] for o in range(4)] for node in nodes])
    norm, y = module.bn2, own + module.gamma.item() * expected @ v
    mean, variance = numbers(norm.running_mean), numbers(norm.running_var)  # type: ignore[arg-type]
    y = (y - mean) / np.sqrt(variance + 1e-5) * numbers(norm.weight) + numbers(norm.bias)
    y = 1.0507009873554805 * np.where(y > 0, y, 1.6732632423543772 * np.expm1(y))
    np.testing.assert_allclose(numbers(module(x))[0], y, atol=1e-5)


def test_pool_keeps_the_smallest_in_order_and_cuts_their_edges() -> None:
    torch.manual_seed(0)
    pool, x, edges = Pool(6, 0.3).eval(), torch.randn(3, 10, 6), torch.rand(3, 10, 4)
    nodes, cut = pool(x, edges)
    assert nodes.shape == (3, 7, 6) and cut.shape == (3, 7, 4)
    for clip in range(3):
        rows = numbers(x[clip])
        score = [sum(rows[i] @ rows[j] for j in range(10)) for i in range(10)]
        chosen = sorted(sorted(range(10), key=lambda i: score[i])[:7])
        assert torch.equal(nodes[clip], x[clip, chosen]) and torch.equal(cut[clip], edges[clip, chosen])
    assert [kept(n) for n in (10, 7, 5, 4, 3, 2, 1)] == [7, 5, 3, 3, 2, 1, 1]
    assert not any(p.requires_grad for p in pool.parameters())


def test_first_edges_are_the_published_ones() -> None:
    rows = first_edges(10).T.tolist()
    assert rows == [[float(2 * i <= group <= 2 * i + 3) for group in range(10)] for i in range(4)]


def test_cross_attention_masks_what_no_edge_joins() -> None:
    torch.manual_seed(0)
    module = CrossAttention(8, 5, 3)
    wave_weights(module)
    video, audio, edges = torch.randn(1, 5, 8), torch.randn(1, 3, 8), torch.zeros(1, 5, 3)
    edges[0, [0, 0, 1, 2, 4], [0, 1, 1, 1, 0]] = 1  # group 3 and moment 2 have no edge
    x, y = (
        numbers(module.key_conv_share(key(nodes)))[0]
        for key, nodes in ((module.key_conv1, video), (module.key_conv2, audio))
    )
    energy, joined = x @ y.T, numbers(edges)[0]
    to_video, to_audio = np.zeros((5, 3)), np.zeros((3, 5))
    weight, bias = numbers(module.aud_to_vid_linear.weight), numbers(module.aud_to_vid_linear.bias)
    for i in range(5):
        score = weight @ energy[i] + bias
        near = [j for j in range(3) if joined[i, j]] or [0, 1, 2]
        to_video[i, near] = softmax(score[near]) if joined[i].any() else 1 / 3
    weight, bias = numbers(module.vid_to_aud_linear.weight), numbers(module.vid_to_aud_linear.bias)
    for j in range(3):
        score = weight @ energy[:, j] + bias
        near = [i for i in range(5) if joined[i, j]] or [0, 1, 2, 3, 4]
        to_audio[j, near] = softmax(score[near]) if joined[:, j].any() else 1 / 5
    heard_by_video, heard_by_audio = (numbers(a)[0] for a in module.attention(video, audio, edges))
    np.testing.assert_allclose(heard_by_video, to_video, atol=1e-5)
    np.testing.assert_allclose(heard_by_audio, to_audio, atol=1e-5)
    new_video, new_audio = module(video, audio, edges)
    said, seen = numbers(module.value_conv2(audio))[0], numbers(module.value_conv1(video))[0]
    np.testing.assert_allclose(numbers(new_video - video)[0], module.gamma1.item() * to_video @ said, atol=1e-5)
    np.testing.assert_allclose(numbers(new_audio - audio)[0], module.gamma2.item() * to_audio @ seen, atol=1e-5)


def test_ears_convolve_what_was_normalised() -> None:
    torch.manual_seed(0)
    block, x = PreActivatedBlock(4, 6).eval(), torch.randn(1, 4, 5, 9)
    before = block(x)
    block.bn1.running_mean.add_(1.0)
    assert not torch.equal(block(x), before) and block.bn1.weight.requires_grad
