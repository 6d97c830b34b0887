"""Another source of action units: MediaPipe's coefficients against LiteRT's, and one's own class, in FauForensics."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from avbench.bench.contract import random_batch
from avbench.engine.building import load_pretrained
from avbench.errors import UserError
from avbench.media.placing import Place
from avbench.perturbations.open_clip import OpenClip
from avbench.types import ClipSpec
from avbench_backbones.augment import normalise
from avbench_backbones.blendshapes import BUNDLE_SHA256, JAW_OPEN, SUBSET, Blendshapes
from avbench_backbones.checkpoints import CheckpointError
from avbench_fauforensics.plugin import avbench_detectors
from building import build_detector

SPEC = next(iter(avbench_detectors()))
BUNDLE = "face_landmarker.task"
# Frames 0, 6, ..., 24 of a real mouth, by ai-edge-litert 2 from the same pictures: jawOpen, mouthClose, eyeBlinkLeft
LITERT = [
    [0.2729, 0.038, 0.0632],
    [0.1456, 0.1318, 0.1099],
    [0.2052, 0.0383, 0.091],
    [0.3096, 0.0567, 0.0869],
    [0.1834, 0.0347, 0.0736],
]
build = partial(build_detector, "fauforensics")


def faces(real_root: Path) -> Tensor:
    """Return five frames (5,3,224,224) of a real face, normalised."""
    path = real_root / "LAV-DF" / "dev" / "011387.mp4"
    clip = OpenClip(path, ClipSpec(frames=25, fps=25, size=224), Place.start(0.0)).clean()
    frames = torch.from_numpy(clip.frames[::6]).permute(0, 3, 1, 2)[None].float() / 255
    return normalise(frames)[0]


def test_coefficients_are_those_of_another_runtime(real_root: Path, weights_root: Path) -> None:
    encoder = Blendshapes()
    encoder.load(weights_root / BUNDLE)
    found = encoder(faces(real_root))
    assert found.shape == (5, 52) and len(SUBSET) == 146
    assert BUNDLE_SHA256 in {weights.sha256 for weights in SPEC.weights if weights.setting == "landmarker_weights"}
    np.testing.assert_allclose(found[:, [JAW_OPEN, 27, 9]], LITERT, atol=2e-3)


def test_weights_carry_the_bundle(real_root: Path, weights_root: Path) -> None:
    """A detector saved with it judges without the file."""
    detector, again = (build("fau_encoder=blendshapes").eval() for _ in range(2))
    detector.load_pretrained({"landmarker_weights": weights_root / BUNDLE})
    again.load_state_dict(detector.state_dict())
    batch = random_batch(detector.config.clip, 2)
    with torch.no_grad():
        assert torch.equal(detector(batch).logits, again(batch).logits)
        units = detector.features(batch)["units"]
    assert units.shape == (2, 25, 52) and float(units.min()) >= 0 and float(units.max()) <= 1


def test_it_is_never_random(tmp_path: Path) -> None:
    detector = build("fau_encoder=blendshapes")
    for ask in (
        lambda: detector.optimizer(detector.config.stages[0], 10),
        lambda: detector.eval()(random_batch(detector.config.clip, 1)),
    ):
        with pytest.raises(UserError, match="avbench weights fetch mediapipe-face-landmarker"):
            ask()
    other = tmp_path / "other.task"
    other.write_bytes(b"not a bundle")
    with pytest.raises(UserError, match=r"other\.task: .*: not MediaPipe's face_landmarker"):
        load_pretrained(detector, {"landmarker_weights": other})
    with pytest.raises(CheckpointError, match=r"no face_landmarker\.task was loaded"):
        Blendshapes()(torch.zeros(1, 3, 64, 64))


class Brightness(nn.Module):
    """A source of "action units" as a user would write one."""

    out_features = 3

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(3))

    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3)) * self.gain


def test_a_class_of_ones_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module = ModuleType("my_units")
    module.Brightness = Brightness  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_units", module)
    detector = build("fau_encoder=my_units:Brightness")
    assert not detector.network.FAUEncoder_cnn.gain.requires_grad
    assert detector.network.au_pool.weight.shape == (96, 3)
    torch.save({"gain": torch.full((3,), 2.0)}, tmp_path / "gain.pt")
    detector.load_pretrained({"fau_weights": tmp_path / "gain.pt"})
    assert torch.equal(detector.network.FAUEncoder_cnn.gain, torch.full((3,), 2.0))
    with pytest.raises(UserError, match="fau_encoder: cannot load 'my_units:Nothing'"):
        build("fau_encoder=my_units:Nothing")
