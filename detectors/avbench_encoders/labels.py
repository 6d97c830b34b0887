"""What is true of a frame, and how far answers are off.

Letters: B clips, T frames, N columns. A column holds where its value is above 0; nan is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from avbench.detector import Detector
from avbench.types import Setting
from avbench_encoders.settings import LipSettings, MouthSettings, SpeechSettings

ReaderSettings: TypeAlias = LipSettings | MouthSettings | SpeechSettings

TINY = 1e-7


def labels_of(values: Tensor) -> Tensor:
    """Return labels 1, 0 or nan of values."""
    return torch.where(values.isnan(), values, (values > 0).to(values.dtype))


def labels_of_values(values: NDArray[np.float32], settings: ReaderSettings) -> NDArray[np.float32]:
    """Return labels 1, 0 or nan (T,N) of a file's values."""
    return labels_of(torch.from_numpy(np.asarray(values, np.float32))).numpy()


def settings_of(settings: ReaderSettings, columns: Sequence[str], rates: Sequence[float]) -> dict[str, Setting]:
    """Return what a database decides: its columns."""
    return {"column_names": " ".join(columns)}


def loss_of_logits(logits_BTN: Tensor, labels_BTN: Tensor) -> Tensor:
    """Return the mean binary cross-entropy over known labels; zero where nothing is known."""
    known_BTN = ~labels_BTN.isnan()
    each_BTN = F.binary_cross_entropy_with_logits(logits_BTN, labels_BTN.nan_to_num(), reduction="none")
    return (each_BTN * known_BTN).sum() / known_BTN.sum().clamp(min=1)


def frame_loss(network: Detector, p_BTN: Tensor, labels_BTN: Tensor) -> Tensor:
    """Return the same of probabilities, by which epochs of equal F1 are told apart."""
    return loss_of_logits(p_BTN.clamp(TINY, 1 - TINY).logit(), labels_BTN)
