"""What a face does, in 52 coefficients: the mesh and the blendshapes of MediaPipe's Face Landmarker, by OpenCV.

The bundle (face_landmarker.task, Google, Apache-2.0) is a zip of TensorFlow Lite networks. Its coefficients are those
of ARKit (jawOpen, mouthSmileLeft, ...), near relatives of action units but not FACS intensities. Which of the mesh's
points they are computed from is a fact of MediaPipe's face_blendshapes_graph.cc.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from avbench_backbones.augment import IMAGENET_MEAN, IMAGENET_STD
from avbench_backbones.checkpoints import CheckpointError

BUNDLE_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
BUNDLE_BYTES = 3_758_596
MESH_FILE, SHAPES_FILE = "face_landmarks_detector.tflite", "face_blendshapes.tflite"
EDGE = 256  # pixels of the picture that the mesh is found in
POINTS = 478
COEFFICIENTS = 52
JAW_OPEN = 25
# fmt: off
SUBSET = (
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80,
    81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153,
    154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251,
    263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318,
    321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386,
    387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477,
)
# fmt: on


class Blendshapes(nn.Module):
    """Describe a face that fills the picture by 52 coefficients in [0,1]; nothing in it is trained.

    The bundle's bytes are its only state, so that weights saved with it judge without the file.
    """

    out_features = COEFFICIENTS
    bundle: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("bundle", torch.zeros(BUNDLE_BYTES, dtype=torch.uint8))

    def load(self, path: Path) -> None:
        """Read the published bundle; a CheckpointError for any other file."""
        found = path.read_bytes()
        if hashlib.sha256(found).hexdigest() != BUNDLE_SHA256:
            raise CheckpointError("not MediaPipe's face_landmarker.task (float16, version 1)")
        self.bundle.copy_(torch.frombuffer(bytearray(found), dtype=torch.uint8))

    @torch.no_grad()
    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Map pictures (N,3,H,W), normalised as of ImageNet, to coefficients (N,52).

        Raises CheckpointError where no bundle was loaded. The networks run on the CPU, one picture at a time.
        """
        mesh, shapes = _networks(self.bundle.cpu().numpy().tobytes())
        mean_C11, std_C11 = (images_NCHW.new_tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
        faces_NCHW = F.interpolate(images_NCHW * std_C11 + mean_C11, (EDGE, EDGE), mode="bilinear")
        rows = [_describe(face[None], mesh, shapes) for face in faces_NCHW.float().cpu().numpy()]
        return torch.from_numpy(np.stack(rows)).to(images_NCHW)


def _describe(face_1CHW: NDArray[np.float32], mesh: cv2.dnn.Net, shapes: cv2.dnn.Net) -> NDArray[np.float32]:
    mesh.setInput(face_1CHW)
    points = mesh.forward("Identity").reshape(POINTS, 3)
    shapes.setInput(np.ascontiguousarray(points[None, SUBSET, :2]))
    coefficients: NDArray[np.float32] = shapes.forward().ravel().copy()
    return coefficients


@lru_cache(maxsize=1)
def _networks(bundle: bytes) -> tuple[cv2.dnn.Net, cv2.dnn.Net]:
    if hashlib.sha256(bundle).hexdigest() != BUNDLE_SHA256:  # weights of others may bring any bytes along
        raise CheckpointError("blendshapes: no face_landmarker.task was loaded")
    files = zipfile.ZipFile(io.BytesIO(bundle))
    mesh, shapes = (np.frombuffer(files.read(name), np.uint8) for name in (MESH_FILE, SHAPES_FILE))
    return cv2.dnn.readNetFromTFLite(mesh), cv2.dnn.readNetFromTFLite(shapes)
