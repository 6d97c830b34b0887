"""FauForensics' network: the published sizes and names, and each equation written out a second time."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from avbench.config import resolve
from avbench_fauforensics.detector import architecture
from avbench_fauforensics.model import Network, QueryTransformer, correlate
from avbench_fauforensics.plugin import avbench_detectors

SPEC = next(iter(avbench_detectors()))


def network(*overrides, preset="demo", task="binary"):
    """Build a network in evaluation mode."""
    torch.manual_seed(0)
    config = resolve(SPEC, task, preset=preset, overrides=overrides)
    return Network(architecture(config, config.settings)).eval()


def meta(preset, task="binary"):
    """Return the network without storage: sizes and names at no cost."""
    with torch.device("meta"):
        return network(preset=preset, task=task)


def count(module, trainable=False):
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trainable)


def test_official_has_the_published_parameters():
    binary, four_class = meta("official"), meta("official", "four_class")
    assert (count(binary), count(binary, trainable=True)) == (68_023_785, 43_465_641)
    assert count(binary.FAUEncoder_cnn) == 24_558_144
    assert count(binary.VEncoder_cnn) == 21_394_176
    assert count(binary.AEncoder) == 19_822_592
    assert count(four_class) - count(binary) == 1_250


def test_official_has_the_published_names():
    state = meta("official").state_dict()
    own = {"queries", "logit_scale", "logit_scale_v", "logit_scale_a", "v_pool.weight"}
    own |= {"mlp_joint.weight", "mlp_v.weight", "mlp_a.weight"}
    for pool in ("aud_attn_pool", "v_attn_pool"):
        own |= {f"{pool}.{linear}.weight" for linear in ("to_q", "to_kv", "to_out")}
        own |= {f"{pool}.{norm}.{x}" for norm in ("norm", "context_norm") for x in ("gamma", "beta")}
    norms = ("au_pool_norm", "v_pool_norm", "aud_attn_pool_norm", "v_attn_pool_norm")
    own |= {f"{norm}.{x}" for norm in norms for x in ("gamma", "beta")}
    prefixes = ("FAUEncoder_cnn.", "VEncoder_cnn.blocks.", "AEncoder.encoder.")
    assert {name for name in state if not name.startswith(prefixes)} == own
    assert [sum(name.startswith(prefix) for name in state) for prefix in prefixes] == [325, 624, 97]
    assert len(state) == 1076
    shapes = {
        "queries": (25, 512),
        "mlp_joint.weight": (2, 625),
        "aud_attn_pool.to_kv.weight": (128, 512),
        "v_pool.weight": (512, 2048),
        "FAUEncoder_cnn.global_linear.fc.weight": (512, 2048),
        "VEncoder_cnn.blocks.3.res_blocks.22.branch2.conv_b.weight": (256, 1, 3, 3, 3),
        "AEncoder.encoder.positional_embedding": (50, 512),
    }
    assert {name: tuple(state[name].shape) for name in shapes} == shapes


def test_paper_adds_action_unit_nodes_and_hidden_layers():
    official, paper = meta("official"), meta("paper")
    nodes = 8 * (512 * 512 + 512 + 2 * 512)
    hidden = 3 * (625 * 512 + 512 * 2 - 625 * 2)
    assert count(paper) - count(official) == nodes + hidden
    assert count(paper, trainable=True) - count(official, trainable=True) == hidden


def test_query_transformer_is_multi_query_attention():
    """Against equations 2 and 3 written out, one head after the other."""
    torch.manual_seed(0)
    transformer = QueryTransformer(width=32, heads=4, head_width=6)
    queries, z = torch.randn(5, 32), torch.randn(3, 7, 32)
    q = F.layer_norm(queries, (32,)) @ transformer.to_q.weight.T / math.sqrt(6)
    k, v = (F.layer_norm(z, (32,)) @ transformer.to_kv.weight.T).split(6, dim=-1)
    heads = []
    for head in q.split(6, dim=-1):
        similarity = torch.einsum("td,bnd->btn", head, k)
        weights = (similarity - similarity.amax(-1, keepdim=True)).exp()
        heads.append(torch.einsum("btn,bnd->btd", weights / weights.sum(-1, keepdim=True), v))
    torch.testing.assert_close(transformer(queries, z), torch.cat(heads, dim=-1) @ transformer.to_out.weight.T)


def test_streams_share_their_queries_alone():
    net = network()
    shared = {id(p) for p in net.v_attn_pool.parameters()} & {id(p) for p in net.aud_attn_pool.parameters()}
    assert not shared
    video, audio = torch.randn(1, 25, 96), torch.randn(1, 25, 96)
    gradients = []
    for aligned in (net.align_video(video), net.align_audio(audio)):
        gradients.append(torch.autograd.grad(aligned.square().sum(), net.queries)[0].abs().sum())
    assert all(gradient > 0 for gradient in gradients)


def test_pooler_divides_columns_in_the_code_and_rows_in_the_text():
    torch.manual_seed(0)
    x, y = torch.randn(2, 5, 8), torch.randn(2, 5, 8)
    cosine = torch.stack([F.cosine_similarity(x[:, i, None], y, dim=-1) for i in range(5)], dim=1)
    scale = torch.tensor(math.log(1 / 0.07))
    columns = cosine / cosine.square().sum(1, keepdim=True).sqrt()
    torch.testing.assert_close(correlate(x, y, scale, "column"), columns)
    torch.testing.assert_close(correlate(x, y, scale, "softmax"), torch.softmax(cosine / 0.07, dim=2))


@pytest.mark.parametrize(("norm", "alive"), [("column", False), ("softmax", True)])
def test_scale_is_inert_in_the_code_and_alive_in_the_text(norm, alive):
    torch.manual_seed(0)
    x, y = torch.randn(2, 25, 16), torch.randn(2, 25, 16)
    scale = torch.tensor(math.log(1 / 0.07), requires_grad=True)
    weights = torch.randn(2, 25, 25)
    pooled = correlate(x, y, scale, norm)
    (gradient,) = torch.autograd.grad((pooled * weights).sum(), scale)
    effect = (correlate(x, y, scale + 1, norm) - pooled).abs().max()
    assert (gradient.abs() > 1e-2) == alive and (effect > 1e-2) == alive
    assert alive or (gradient.abs() < 1e-5 and effect < 1e-6)


def test_rows_of_the_joint_matrix():
    z = {"video": torch.randn(1, 25, 96), "audio": torch.randn(1, 25, 96)}
    for rows, columns in (("video", "audio"), ("audio", "video")):
        joint = network(f"joint_rows={rows}").correlations(z)["joint"]
        expected = correlate(z[rows], z[columns], torch.tensor(0.0), "column")
        torch.testing.assert_close(joint, expected.flatten(1))


def resized(picture, edge):
    """Scale (1,3,H,W) without antialiasing, pixel by pixel at half its edge: the mean of the middle two by two."""
    assert picture.shape[-1] == 2 * edge
    return picture.unflatten(-1, (edge, 2)).unflatten(-3, (edge, 2)).mean((-3, -1))


@pytest.mark.parametrize("edge", [0, 16])
def test_fusion_adds_normalised_features_of_pictures_that_may_be_smaller_for_the_csn(edge):
    net = network(f"csn_input_size={edge}")
    pixels = torch.randn(1, 3, 25, 32, 32)
    small = pixels if not edge else torch.stack([resized(pixels[:, :, t], edge) for t in range(25)], dim=2)
    video = F.layer_norm(net.v_pool(net.VEncoder_cnn(small).mean((3, 4)).transpose(1, 2)), (96,))
    frames = torch.stack([net.FAUEncoder_cnn(pixels[:, :, t]) for t in range(25)], dim=1)
    au = F.layer_norm(net.au_pool(frames), (96,))
    torch.testing.assert_close(net.encode_video(pixels), video + au, atol=1e-4, rtol=1e-4)


def test_sound_has_a_step_per_frame():
    net = network()
    mel = torch.randn(2, 80, 100)
    steps = net.AEncoder.encoder(mel)
    assert steps.shape == (2, 50, 96)
    torch.testing.assert_close(net.encode_audio(mel), steps.view(2, 25, 2, 96).mean(dim=2))
