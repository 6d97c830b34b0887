"""ME-GraphAU whole: published names and sizes, both stages against loops, Swin against transformers, OpenGraphAU."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avbench_backbones._torchaudio import torchaudio
from avbench_backbones.checkpoints import CheckpointError, weights_of
from avbench_backbones.graphau import FGG, GraphAUEncoder, Metric
from avbench_backbones.mefl import GEM, GatedGraph, GatedStep, MEFLHead
from avbench_backbones.opengraphau import READ_FROM, UNITS, OpenANFLHead, OpenMEFLHead
from avbench_backbones.swin import SIZES, SwinSize, SwinTokens
from avbench_graphau.network import MEGraphAU, backbone_state, load_shared

TINY = SwinSize(32, (2, 2, 2, 2), 0.2)


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def shaken(module: nn.Module) -> nn.Module:
    """Give norms statistics and weights that are not their first ones, in evaluation."""
    torch.manual_seed(1)
    for one in module.modules():
        if isinstance(one, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(one.weight, 0.5, 1.5)
            nn.init.normal_(one.bias)
            assert one.running_mean is not None and one.running_var is not None
            one.running_mean.normal_()
            one.running_var.uniform_(0.5, 1.5)
    return module.eval()


def norm_row(bn: nn.Module, k: int, x: Tensor) -> Tensor:
    """Return what a BatchNorm in evaluation makes of its k-th channel."""
    b: Any = bn
    normal: Tensor = (x - b.running_mean[k]) / torch.sqrt(b.running_var[k] + b.eps) * b.weight[k] + b.bias[k]
    return normal


# Names and sizes


@pytest.mark.parametrize(
    ("backbone", "count"), [("swin_tiny", 27_519_354), ("swin_small", 48_837_258), ("swin_base", 86_743_224)]
)
def test_swins_have_the_published_size(backbone: str, count: int) -> None:
    with torch.device("meta"):
        swin = SwinTokens(SIZES[backbone])
        assert parameters(swin) == count, "28.3, 49.6 and 87.8 million less the classifier"
        assert swin(torch.empty(1, 3, 224, 224)).shape == (1, 49, swin.out_channels)
        encoder = GraphAUEncoder(backbone)
        assert encoder.out_features == swin.out_channels // 2


def test_names_are_the_published_ones() -> None:
    with torch.device("meta"):
        swin = set(SwinTokens(SIZES["swin_tiny"]).state_dict())
        second = MEGraphAU(50, 64, 12, 4, stage="mefl").state_dict()
        first = MEGraphAU(50, 64, 12, 4).state_dict()
    assert {
        "patch_embed.proj.weight",
        "patch_embed.norm.bias",
        "layers.0.blocks.1.attn_mask",
        "layers.2.blocks.5.attn.relative_position_bias_table",
        "layers.2.blocks.5.attn.relative_position_index",
        "layers.1.blocks.0.attn.qkv.bias",
        "layers.1.blocks.0.mlp.fc2.weight",
        "layers.2.downsample.reduction.weight",
        "layers.2.downsample.norm.weight",
        "norm.weight",
    } <= swin
    assert "layers.0.blocks.0.attn_mask" not in swin and "layers.3.blocks.1.attn_mask" not in swin
    assert len(swin) == 4 + 2 + 12 * 14 + 3 * 3 + 5, "patches, last norm, blocks, merges, masks of five shifted blocks"
    assert second["head.edge_extractor.FAM.linear_q.weight"].shape == (256, 512)
    assert second["head.edge_extractor.bn.weight"].shape == (144,) and second["head.gnn.bne2.weight"].shape == (144,)
    assert second["head.edge_fc.weight"].shape == (4, 512) and second["head.sc"].shape == (12, 512)
    graph = {name.removeprefix("head.gnn.").split(".")[0] for name in second if name.startswith("head.gnn.")}
    assert graph == {f"{name}{step}" for name in ("U", "V", "A", "B", "E", "bnv", "bne") for step in (1, 2)}
    linear = [name for name in second if name.startswith("head.gnn.") and not name.startswith("head.gnn.bn")]
    assert len(linear) == 10 and all(name.endswith("weight") for name in linear)
    assert {n for n in first if n.startswith("head.gnn.")} >= {
        "head.gnn.U.bias",
        "head.gnn.V.weight",
        "head.gnn.bnv.bias",
    }
    assert "head.class_linears.11.bn.running_var" in first and "global_linear.fc.weight" in first


# First stage


@pytest.mark.parametrize("metric", ["dots", "cosine", "l1", "l2"])
def test_each_node_is_joined_to_its_nearest(metric: Metric) -> None:
    torch.manual_seed(0)
    nodes = torch.rand(2, 5, 6)
    found = FGG(6, 5, 3, metric).adjacency(nodes)
    for image in range(2):
        adjacency = torch.zeros(5, 5)
        for i in range(5):
            x = nodes[image, i]
            near = {
                "dots": lambda y, x=x: float(x @ y),
                "cosine": lambda y, x=x: float(x @ y / x.norm() / y.norm()),
                "l1": lambda y, x=x: -math.sqrt(float(((x - y) ** 2).sum())),
                "l2": lambda y, x=x: -float((x - y).abs().sum()),
            }[metric]
            ranked = sorted(range(5), key=lambda j: near(nodes[image, j]), reverse=True)
            adjacency[i, ranked[:3]] = 1
        rows = adjacency.sum(dim=1)
        for i in range(5):
            for j in range(5):
                expected = adjacency[i, j] / math.sqrt(rows[i] * rows[j])
                assert found[image, i, j].item() == pytest.approx(float(expected), rel=1e-5), (image, i, j)


# Second stage


def attend(attention: nn.Module, asking: Tensor, asked: Tensor) -> Tensor:
    """Attention of one head, place by place."""
    a: Any = attention
    out = []
    for place in asking:
        q = a.linear_q(place)
        scores = torch.stack([q @ a.linear_k(other) / math.sqrt(len(q)) for other in asked])
        out.append(sum(w * a.linear_v(other) for w, other in zip(scores.softmax(0), asked, strict=True)))
    return torch.stack(out)


def test_edges_go_from_the_second_unit_to_the_first() -> None:
    """Edge i * U + j asks unit j's map about unit i's, and both know the face."""
    gem: Any = shaken(GEM(6, 3))
    units, face = torch.randn(2, 3, 4, 6), torch.randn(2, 4, 6)
    with torch.no_grad():
        found = gem(units, face)
        assert found.shape == (2, 9, 6)
        for image in range(2):
            concerned = [attend(gem.FAM, units[image, u], face[image]) for u in range(3)]
            for i in range(3):
                for j in range(3):
                    edge = gem.edge_proj(attend(gem.ARM, concerned[j], concerned[i]))
                    expected = norm_row(gem.bn, 3 * i + j, edge).mean(dim=0)
                    torch.testing.assert_close(found[image, 3 * i + j], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("outside", [False, True])
def test_a_gated_step_equals_plain_loops(outside: bool) -> None:
    step: Any = shaken(GatedStep(5, 3, outside=outside))
    nodes, edges = torch.rand(2, 3, 5), torch.randn(2, 9, 5)
    with torch.no_grad():
        next_nodes, next_edges = step(nodes, edges)
        for image in range(2):
            x, e = nodes[image], edges[image]
            for i in range(3):
                for j in range(3):
                    change = step.A(x[i]) + step.B(x[j]) + step.E(e[3 * i + j])
                    expected = e[3 * i + j] + F.relu(norm_row(step.bne, 3 * i + j, change))
                    torch.testing.assert_close(next_edges[image, 3 * i + j], expected, rtol=1e-4, atol=1e-5)
                gates = torch.stack([torch.sigmoid(next_edges[image, 3 * i + j]) for j in range(3)]).softmax(dim=0)
                heard = sum(gates[j] * step.V(x[j]) for j in range(3)) / 3
                update = norm_row(step.bnv, i, step.U(x[i]) + heard)
                expected = x[i] + F.relu(update) if outside else F.relu(x[i] + update)
                torch.testing.assert_close(next_nodes[image, i], expected, rtol=1e-4, atol=1e-5)


def test_the_graph_is_its_two_steps() -> None:
    graph = GatedGraph(4, 3)
    shaken(graph)
    nodes, edges = torch.rand(2, 3, 4), torch.randn(2, 9, 4)
    first, second = GatedStep(4, 3).eval(), GatedStep(4, 3).eval()
    for step, number in ((first, "1"), (second, "2")):
        named = {
            n.replace(f"{number}.", ".", 1): v for n, v in graph.state_dict().items() if n.split(".")[0][-1] == number
        }
        step.load_state_dict(named)
    with torch.no_grad():
        found, expected = graph(nodes, edges), second(*first(nodes, edges))
    torch.testing.assert_close(found, expected)


def test_probabilities_are_cosines_with_centres_that_are_not_negative() -> None:
    head: Any = shaken(MEFLHead(6, 3))
    tokens = torch.rand(2, 4, 6)
    with torch.no_grad():
        p, pairs = head.classify(tokens)
        nodes = head.gnn(head.maps(tokens).mean(dim=2), head.edge_extractor(head.maps(tokens), tokens))[0]
    assert p.shape == (2, 3) and pairs.shape == (2, 9, 4) and (p >= 0).all() and (p <= 1 + 1e-6).all()
    for u in range(3):
        expected = F.cosine_similarity(nodes[:, u], head.sc[u].clamp(min=0)[None])
        torch.testing.assert_close(p[:, u], expected, rtol=1e-4, atol=1e-6)


def test_the_second_stage_begins_with_what_the_first_learnt() -> None:
    torch.manual_seed(0)
    network = MEGraphAU(18, 4, 3, 2)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.enter("mefl")
    assert isinstance(network.head, MEFLHead)
    after = network.state_dict()
    shared = [name for name in before if not name.startswith("head.gnn.")]
    assert len(shared) > 100 and all(torch.equal(after[name], before[name]) for name in shared)
    load_shared(network, weights_of({"state_dict": {f"module.{name}": v for name, v in before.items()}}))
    with pytest.raises(CheckpointError, match="missing"):
        load_shared(network, {name: v for name, v in before.items() if name != "head.sc"})


def test_an_imagenet_classifier_gives_its_backbone() -> None:
    weights = {"conv1.weight": torch.zeros(1), "fc.weight": torch.zeros(1), "head.bias": torch.zeros(1)}
    assert set(backbone_state(weights)) == {"backbone.conv1.weight"}


# OpenGraphAU


def test_opengraphau_reads_the_sides_of_au12_from_au11_as_published() -> None:
    assert len(UNITS) == 41 and UNITS[27:31] == ("AUL1", "AUR1", "AUL2", "AUR2") and UNITS[37:39] == ("AUL12", "AUR12")
    assert UNITS[READ_FROM[5]] == "AU11", "the published slip"
    torch.manual_seed(0)
    head: Any = shaken(OpenANFLHead(4))
    nodes = torch.rand(2, 27, 4)
    with torch.no_grad():
        found = head.outputs(nodes)
        assert found.shape == (2, 41)
        for sided, index in enumerate((0, 1, 2, 4, 7, 8, 11)):
            for side in (0, 1):
                centre = head.sub_sc[2 * sided + side].clamp(min=0)
                expected = F.cosine_similarity(nodes[:, index], centre[None])
                torch.testing.assert_close(found[:, 27 + 2 * sided + side], expected)
        assert shaken(OpenMEFLHead(4))(torch.rand(1, 2, 4)).shape == (1, 41)
    names = set(OpenMEFLHead(4).state_dict())
    assert {"main_class_linears.26.fc.weight", "main_sc", "sub_sc", "gnn.graph_layers.1.bne.weight"} <= names
    assert not [name for name in names if name.startswith("edge_fc")]


# Swin


def huggingface_swin(size: SwinSize) -> nn.Module:
    assert torchaudio, "imported before transformers, which a broken one would stop"
    from transformers import SwinConfig
    from transformers.models.swin.modeling_swin import SwinModel

    config = SwinConfig(
        image_size=224,
        embed_dim=size.width,
        depths=list(size.blocks),
        num_heads=[max(1, size.width * 2**k // 32) for k in range(4)],
        window_size=7,
    )
    torch.manual_seed(0)
    model: nn.Module = SwinModel(config, add_pooling_layer=False)
    for name, parameter in model.named_parameters():
        if "bias" in name or "norm" in name:
            nn.init.normal_(parameter, mean=float("norm" in name and name.endswith("weight")), std=0.3)
    return model.eval()


RENAMED = (
    ("embeddings.patch_embeddings.projection.", "patch_embed.proj."),
    ("embeddings.norm.", "patch_embed.norm."),
    ("encoder.layers.", "layers."),
    ("attention.relative_position_bias.", "attn."),
    ("attention.o_proj.", "attn.proj."),
    ("layernorm_before.", "norm1."),
    ("layernorm_after.", "norm2."),
    ("intermediate.dense.", "mlp.fc1."),
    ("output.dense.", "mlp.fc2."),
    ("layernorm.", "norm."),
)


def test_swin_equals_transformers() -> None:
    theirs, ours = huggingface_swin(TINY), SwinTokens(TINY).eval()
    state: dict[str, Tensor] = {}
    joined: dict[str, dict[str, Tensor]] = {}
    for name, value in theirs.state_dict().items():
        for there, here in RENAMED:
            name = name.replace(there, here)
        head, _, leaf = name.partition("attention.")
        if leaf:
            part, kind = leaf.split(".")
            joined.setdefault(f"{head}attn.qkv.{kind}", {})[part] = value
        else:
            state[name] = value
    state |= {name: torch.cat([p[k] for k in ("q_proj", "k_proj", "v_proj")]) for name, p in joined.items()}
    own = ours.state_dict()
    state |= {name: own[name] for name in own if name.endswith(("attn_mask", "position_index"))}
    ours.load_state_dict(state)
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        found, expected = ours(images), theirs(images).last_hidden_state
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_swin_drops_branches_in_training_alone_and_refuses_other_sizes() -> None:
    swin = SwinTokens(SwinSize(32, (1, 1, 1, 1), 0.9))
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        torch.manual_seed(0)
        assert not torch.equal(swin.train()(images), swin(images))
        assert torch.equal(swin.eval()(images), swin(images))
    with pytest.raises(ValueError, match="use 224"):
        SwinTokens(TINY, 112)
    with pytest.raises(ValueError, match="no backbone called swin_huge"):
        GraphAUEncoder("swin_huge")
