"""Checkpoints of published encoders: strict loading, refusals, and every naming that is read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from avbench_backbones import checkpoints
from avbench_backbones.checkpoints import CheckpointError, load_strict, read_checkpoint
from avbench_backbones.csn import CSN, Variant
from avbench_backbones.graphau import AFG, ANFLHead, GraphAUEncoder
from avbench_backbones.whisper import WhisperEncoder, WhisperSize


class Payload:
    """Something that only unpickling code could bring back."""


@pytest.fixture
def state() -> dict[str, Tensor]:
    return {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}


def test_both_file_formats_come_back_as_written(tmp_path: Path, state: dict[str, Tensor]) -> None:
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "w.pth")
    save_file(state, tmp_path / "w.safetensors")
    for name in ("w.pth", "w.safetensors"):
        linear = nn.Linear(3, 2)
        load_strict(linear, checkpoints.weights_of(read_checkpoint(tmp_path / name)))
        assert torch.equal(linear.weight, state["weight"])


def test_files_that_must_not_be_trusted(tmp_path: Path, state: dict[str, Tensor]) -> None:
    torch.save(state, tmp_path / "good.pth")
    torch.save({"model": Payload()}, tmp_path / "code.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    whole = (tmp_path / "good.pth").read_bytes()
    for name in ("short.pth", "short.safetensors"):
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    (tmp_path / "page.pth").write_text("<html>404</html>")
    for name in ("absent.pth", "code.pth", "list.pth", "short.pth", "short.safetensors", "page.pth"):
        with pytest.raises(CheckpointError, match=name):
            read_checkpoint(tmp_path / name)
    with pytest.raises(CheckpointError, match="sha256"):
        read_checkpoint(tmp_path / "good.pth", sha256="0" * 64)


def test_weights_that_do_not_fit_are_named_and_change_nothing(state: dict[str, Tensor]) -> None:
    linear = nn.Linear(3, 2)
    before = linear.weight.clone()
    wrong: list[tuple[dict[str, Tensor], str]] = [
        ({"weight": state["weight"]}, "missing: bias"),
        (state | {"extra": torch.ones(1)}, "unexpected: extra"),
        (state | {"bias": torch.ones(3)}, r"wrong shape: bias \(3,\) instead of \(2,\)"),
        (state | {f"extra{i}": torch.ones(1) for i in range(9)}, "extra4 and 4 more"),
    ]
    for given, message in wrong:
        with pytest.raises(CheckpointError, match=message):
            load_strict(linear, given)
    assert torch.equal(linear.weight, before)
    load_strict(linear, {"weight": state["weight"], "head.bias": torch.ones(7)}, ignored_prefixes=("bias", "head."))
    assert torch.equal(linear.weight, state["weight"])


def test_whisper_positions_must_be_the_sinusoids() -> None:
    encoder = WhisperEncoder(WhisperSize(state=64, heads=4, layers=1))
    state = {f"encoder.{name}": entry for name, entry in encoder.half().state_dict().items()}
    assert "positional_embedding" not in checkpoints.whisper_state({"model_state_dict": state})
    state["encoder.positional_embedding"] = state["encoder.positional_embedding"].roll(1, dims=0)
    with pytest.raises(CheckpointError, match="sinusoids"):
        checkpoints.whisper_state({"model_state_dict": state})


def published_name(name: str, stem: str, conv: str, norm: str, inner: dict[str, str]) -> str:
    """Turn one of our CSN names into another's, block by block."""
    paths = {"blocks.0.conv": f"{stem}.{conv}", "blocks.0.norm": f"{stem}.{norm}"}
    paths |= {"branch1_conv": f"downsample.{conv}", "branch1_norm": f"downsample.{norm}"}
    paths |= {"branch2.conv_a": f"conv1.{conv}", "branch2.norm_a": f"conv1.{norm}"}
    paths |= {"branch2.conv_c": f"conv3.{conv}", "branch2.norm_c": f"conv3.{norm}"}
    for here, there in (paths | inner).items():
        name = name.replace(f"{here}.", f"{there}.")
    return re.sub(r"blocks\.(\d)\.res_blocks", r"layer\1", name)


def mmaction_name(name: str, variant: Variant) -> str:
    interaction = {"branch2.conv_ip": "conv2.0.conv", "branch2.norm_ip": "conv2.0.bn"}
    place = "conv2.0" if variant == "ir" else "conv2.1"
    inner = interaction | {"branch2.conv_b": f"{place}.conv", "branch2.norm_b": f"{place}.bn"}
    return "backbone." + published_name(name, "conv1", "conv", "bn", inner)


def vmz_name(name: str, variant: Variant) -> str:
    interaction = {"branch2.conv_ip": "conv2.0.0", "branch2.norm_ip": "conv2.0.1"}
    inner = interaction | {"branch2.conv_b": "conv2.0" if variant == "ir" else "conv2.0.2", "branch2.norm_b": "conv2.1"}
    return published_name(name, "stem", "0", "1", inner)


@pytest.mark.parametrize("variant", ["ir", "ip"])
def test_csn_state_reads_every_naming(variant: Variant) -> None:
    with torch.device("meta"):
        csn = CSN(152, variant=variant)
    own = csn.state_dict()
    head = torch.zeros(400)
    vmz = {vmz_name(name, variant): entry for name, entry in own.items()}
    depthwise = "conv2.0.weight" if variant == "ir" else "conv2.0.2.weight"
    assert vmz[f"layer3.35.{depthwise}"].shape == (256, 1, 3, 3, 3)
    mmaction = {mmaction_name(name, variant): entry for name, entry in own.items()}
    assert len(vmz) == len(mmaction) == len(own)
    files: dict[str, tuple[str, dict[str, Tensor]]] = {
        "pytorchvideo": ("model_state", own | {"blocks.5.proj.bias": head}),
        "mmaction": ("state_dict", mmaction | {"cls_head.fc_cls.bias": head}),
        "vmz": ("model", vmz | {"fc.bias": head}),
    }
    for written_by, (wrapper, entries) in files.items():
        checkpoint = {wrapper: entries, "epoch": 58}
        assert checkpoints.csn_format(checkpoint) == written_by
        found = checkpoints.csn_state(checkpoint)
        assert found.keys() == own.keys()
        assert all(found[name] is entry for name, entry in own.items())
    realforensics = {f"backbone.{name}": entry for name, entry in own.items()} | {"df_head.weight": head}
    assert checkpoints.csn_state(realforensics).keys() == own.keys()
    assert checkpoints.CSN_BN_EPS == {"pytorchvideo": 1e-5, "mmaction": 1e-3, "vmz": 1e-3}
    del mmaction[mmaction_name("blocks.3.res_blocks.7.branch2.norm_b.running_var", variant)]
    with pytest.raises(CheckpointError, match=r"missing: blocks\.3\.res_blocks\.7\.branch2\.norm_b\.running_var$"):
        load_strict(csn, checkpoints.csn_state(mmaction))


def test_what_is_no_checkpoint_of_the_kind_is_refused(state: dict[str, Tensor]) -> None:
    with pytest.raises(CheckpointError, match="not a CSN checkpoint; it has weight, bias"):
        checkpoints.csn_state(state)
    with pytest.raises(CheckpointError, match="not a Whisper checkpoint"):
        checkpoints.whisper_state(state)
    with pytest.raises(CheckpointError, match="no tensors; it has epoch"):
        checkpoints.weights_of({"epoch": 1})


def test_graphau_checkpoint_gives_encoder_and_action_unit_features() -> None:
    encoder, head = GraphAUEncoder(18, width=8), ANFLHead(16, units=12, neighbours=4)
    whole = encoder.state_dict() | {f"head.{name}": entry for name, entry in head.state_dict().items()}
    checkpoint = {"epoch": 19, "state_dict": {f"module.{name}": entry for name, entry in whole.items()}}
    copy = GraphAUEncoder(18, width=8)
    load_strict(copy, checkpoints.graphau_from_official(checkpoint))
    assert torch.equal(copy.global_linear.fc.weight, encoder.global_linear.fc.weight)
    found = checkpoints.graphau_from_official(checkpoint, head=True)
    assert found.keys() == whole.keys()
    features = AFG(16, units=12)
    load_strict(
        features,
        {name.removeprefix("head."): entry for name, entry in found.items() if name.startswith("head.")},
        ignored_prefixes=("gnn.", "sc"),
    )
    tokens = torch.randn(3, 4, 16)
    last: nn.Module = head.class_linears[11]
    torch.testing.assert_close(features(tokens)[:, 11], last(tokens).mean(dim=1))
