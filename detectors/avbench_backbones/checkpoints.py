"""Reads published checkpoints and renames their entries to this package's names, strictly."""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from avbench_backbones.whisper import sinusoids

State = dict[str, Tensor]
CSNFormat = Literal["pytorchvideo", "mmaction", "vmz"]

CSN_BN_EPS: dict[CSNFormat, float] = {"pytorchvideo": 1e-5, "mmaction": 1e-3, "vmz": 1e-3}

# OpenAI, pytorchvideo, mmaction2 and ME-GraphAU, others
_WRAPPERS = ("model_state_dict", "model_state", "state_dict", "model")

_WHISPER_HUGGINGFACE = {  # module paths there -> here; those not listed have the same name
    "layers.{}.self_attn.q_proj": "blocks.{}.attn.query",
    "layers.{}.self_attn.k_proj": "blocks.{}.attn.key",
    "layers.{}.self_attn.v_proj": "blocks.{}.attn.value",
    "layers.{}.self_attn.out_proj": "blocks.{}.attn.out",
    "layers.{}.self_attn_layer_norm": "blocks.{}.attn_ln",
    "layers.{}.fc1": "blocks.{}.mlp.0",
    "layers.{}.fc2": "blocks.{}.mlp.2",
    "layers.{}.final_layer_norm": "blocks.{}.mlp_ln",
    "layer_norm": "ln_post",
}
_CSN_MMACTION_IR = {"conv2.0.conv": "branch2.conv_b", "conv2.0.bn": "branch2.norm_b"}
_CSN_MMACTION_IP = {
    "conv2.0.conv": "branch2.conv_ip",
    "conv2.0.bn": "branch2.norm_ip",
    "conv2.1.conv": "branch2.conv_b",
    "conv2.1.bn": "branch2.norm_b",
}
_CSN_VMZ = {  # of either variant: ip nests its two convolutions one deeper
    "conv2.0": "branch2.conv_b",
    "conv2.0.0": "branch2.conv_ip",
    "conv2.0.1": "branch2.norm_ip",
    "conv2.0.2": "branch2.conv_b",
    "conv2.1": "branch2.norm_b",
}


class CheckpointError(ValueError):
    """A checkpoint cannot be read or does not fit; the message names the file or the entries."""


def read_checkpoint(path: str | Path, sha256: str | None = None) -> Mapping[str, Any]:
    """Read a torch or .safetensors file to the CPU, without running any code from it.

    sha256: what the file must hash to. A missing, altered or unreadable file is a `CheckpointError`.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}")
    if sha256 is not None:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256.lower():
            raise CheckpointError(f"{path} has sha256 {found}, expected {sha256}: download it again")
    try:
        if path.suffix == ".safetensors":
            checkpoint: Any = load_file(path)
        else:
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is damaged or holds more than tensors, which are not loaded for safety; "
            "save its weights alone, from a source you trust, as .safetensors"
        ) from error
    except Exception as error:  # torch and safetensors raise many types for a damaged file
        raise CheckpointError(f"{path} is not a readable checkpoint: {error}") from error
    if not isinstance(checkpoint, Mapping):
        raise CheckpointError(f"{path} holds a {type(checkpoint).__name__}, not named weights")
    return checkpoint


def load_strict(module: nn.Module, state: Mapping[str, Any], ignored_prefixes: Iterable[str] = ()) -> None:
    """Copy `state` into `module`; missing or unexpected names and wrong shapes are errors and change nothing.

    ignored_prefixes: entries of either side that start with one of these are left alone.
    """
    ignored = tuple(ignored_prefixes)
    own = {name: entry for name, entry in module.state_dict().items() if not name.startswith(ignored)}
    given = {name: entry for name, entry in state.items() if not name.startswith(ignored)}
    problems = {
        "missing": [name for name in own if name not in given],
        "unexpected": [name for name in given if name not in own],
        "wrong shape": [
            f"{name} {_shape(given[name])} instead of {_shape(own[name])}"
            for name in own
            if name in given and _shape(given[name]) != _shape(own[name])
        ],
    }
    if any(problems.values()):
        listed = "; ".join(f"{kind}: {_shortened(names)}" for kind, names in problems.items() if names)
        raise CheckpointError(f"the weights do not fit {type(module).__name__}: {listed}")
    module.load_state_dict(given, strict=False)


def weights_of(checkpoint: Mapping[str, Any]) -> State:
    """Find the named tensors of a checkpoint, with the wrappers of training code taken off."""
    for wrapper in _WRAPPERS:
        if isinstance(checkpoint.get(wrapper), Mapping):
            checkpoint = checkpoint[wrapper]
            break
    state = {name: entry for name, entry in checkpoint.items() if isinstance(entry, Tensor)}
    if not state:
        raise CheckpointError(f"the checkpoint holds no tensors; it has {_shortened(list(checkpoint))}")
    if all(name.startswith("module.") for name in state):  # nn.DataParallel
        state = {name.removeprefix("module."): entry for name, entry in state.items()}
    return state


def whisper_state(checkpoint: Mapping[str, Any]) -> State:
    """Return the encoder's weights under OpenAI's names from OpenAI's or Hugging Face's file.

    Load with `load_strict(encoder, state, ignored_prefixes=("positional_embedding",))`, as it is computed.
    """
    state = weights_of(checkpoint)
    if any(name.endswith("blocks.0.attn.query.weight") for name in state):
        return whisper_from_openai(state)
    if any(name.endswith("layers.0.self_attn.q_proj.weight") for name in state):
        return whisper_from_huggingface(state)
    raise CheckpointError(f"not a Whisper checkpoint; it has {_shortened(list(state))}")


def whisper_from_openai(state: Mapping[str, Tensor]) -> State:
    """Take the encoder out of OpenAI's Whisper, less its positions, which must be the sinusoids."""
    return _without_positions(_under(state, "encoder."), "positional_embedding")


def whisper_from_huggingface(state: Mapping[str, Tensor]) -> State:
    """Take the encoder out of transformers' Whisper, less its positions, which must be the sinusoids."""
    state = _without_positions(_under(state, "model.encoder.", "encoder."), "embed_positions.weight")
    return _renamed(state, _WHISPER_HUGGINGFACE)


def csn_format(checkpoint: Mapping[str, Any]) -> CSNFormat:
    """Recognise by its names who wrote a CSN file; `CSN_BN_EPS` gives the `bn_eps` that it needs."""
    formats: dict[str, CSNFormat] = {
        "blocks.0.conv.weight": "pytorchvideo",
        "conv1.conv.weight": "mmaction",
        "stem.0.weight": "vmz",
    }
    state = weights_of(checkpoint)
    for stem, written_by in formats.items():
        if stem in _under(state, "backbone."):
            return written_by
    raise CheckpointError(f"not a CSN checkpoint; it has {_shortened(list(state))}")


def csn_state(checkpoint: Mapping[str, Any]) -> State:
    """Return the weights of a CSN without its head from a file of any of the three formats."""
    convert = {"pytorchvideo": csn_from_pytorchvideo, "mmaction": csn_from_mmaction, "vmz": csn_from_vmz}
    return convert[csn_format(checkpoint)](weights_of(checkpoint))


def csn_from_pytorchvideo(state: Mapping[str, Tensor]) -> State:
    """Drop the head; pytorchvideo's names are this package's, RealForensics' have `backbone.` before them."""
    state = _under(state, "backbone.")
    return {name: entry for name, entry in state.items() if not name.startswith("blocks.5.")}


def csn_from_mmaction(state: Mapping[str, Tensor]) -> State:
    """Rename mmaction2's ResNet3dCSN, ir or ip, without its head; its BatchNorm needs `bn_eps=1e-3`."""
    state = _under(state, "backbone.")
    ip = any(".conv2.1." in name for name in state)
    return _renamed(state, _csn_modules("conv1", "conv", "bn", _CSN_MMACTION_IP if ip else _CSN_MMACTION_IR))


def csn_from_vmz(state: Mapping[str, Tensor]) -> State:
    """Rename VMZ's torchvision-style CSN, ir or ip, without its head; its BatchNorm needs `bn_eps=1e-3`."""
    state = {name: entry for name, entry in state.items() if not name.startswith("fc.")}
    return _renamed(state, _csn_modules("stem", "0", "1", _CSN_VMZ))


def graphau_from_official(checkpoint: Mapping[str, Any], head: bool = False) -> State:
    """Keep `backbone.*` and `global_linear.*`, for `GraphAUEncoder`; with `head` also `head.*`."""
    kept = ("backbone.", "global_linear.", "head.") if head else ("backbone.", "global_linear.")
    return {name: entry for name, entry in weights_of(checkpoint).items() if name.startswith(kept)}


def _csn_modules(stem: str, conv: str, norm: str, depthwise: Mapping[str, str]) -> dict[str, str]:
    """List the module paths of a CSN whose pairs of convolution and norm are called `conv` and `norm`."""
    block = {
        f"conv1.{conv}": "branch2.conv_a",
        f"conv1.{norm}": "branch2.norm_a",
        f"conv3.{conv}": "branch2.conv_c",
        f"conv3.{norm}": "branch2.norm_c",
        f"downsample.{conv}": "branch1_conv",
        f"downsample.{norm}": "branch1_norm",
        **depthwise,
    }
    return {f"{stem}.{conv}": "blocks.0.conv", f"{stem}.{norm}": "blocks.0.norm"} | {
        f"layer{{}}.{{}}.{there}": f"blocks.{{}}.res_blocks.{{}}.{here}" for there, here in block.items()
    }


def _renamed(state: Mapping[str, Tensor], modules: Mapping[str, str]) -> State:
    """Rename module paths, `{}` standing for a number; what is not listed keeps its name."""
    patterns = [(re.compile(re.escape(there).replace(r"\{\}", r"(\d+)")), here) for there, here in modules.items()]
    renamed = {}
    for name, entry in state.items():
        module, _, leaf = name.rpartition(".")
        found = ((pattern.fullmatch(module), here) for pattern, here in patterns)
        paths = [here.format(*match.groups()) for match, here in found if match]
        renamed[f"{paths[0]}.{leaf}" if paths else name] = entry
    return renamed


def _under(state: Mapping[str, Tensor], *prefixes: str) -> State:
    """Take what lies under the first prefix that occurs, without the prefix; all, if none occurs."""
    for prefix in prefixes:
        inside = {name.removeprefix(prefix): entry for name, entry in state.items() if name.startswith(prefix)}
        if inside:
            return inside
    return dict(state)


def _without_positions(state: State, name: str) -> State:
    positions = state.pop(name, None)
    if positions is not None:
        error = (positions.float() - sinusoids(*positions.shape)).abs().max().item()
        if not error <= 5e-4:  # half precision rounds them by up to 2.5e-4
            raise CheckpointError(f"{name} is not Whisper's sinusoids: it differs by {error:.2g}")
    return state


def _shape(entry: Any) -> tuple[int, ...] | str:
    return tuple(entry.shape) if isinstance(entry, Tensor) else type(entry).__name__


def _shortened(names: Sequence[str], most: int = 5) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
