"""The regularisers of MRDF: streams of a real video agree, and so do embeddings of one label.

Letters: B clips, L features.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

MARGIN = 0.0


def across(video_BL: Tensor, audio_BL: Tensor, real_B: Tensor) -> Tensor:
    """Pull both streams of a real video together and push those of any other at least to a right angle."""
    cosine_B = F.cosine_similarity(video_BL.float(), audio_BL.float(), dim=1)
    return torch.where(real_B.bool(), 1 - cosine_B, (cosine_B - MARGIN).clamp(min=0)).mean()


def within(embedding_BL: Tensor, label_B: Tensor) -> Tensor:
    """Pull embeddings of one label together and push others at least to a right angle, over all ordered pairs.

    A clip is a pair with itself, too, as published.
    """
    cosine_BB = F.cosine_similarity(embedding_BL.float()[:, None], embedding_BL.float()[None], dim=2)
    same_BB = label_B[:, None] == label_B[None]
    return torch.where(same_BB, 1 - cosine_BB, (cosine_BB - MARGIN).clamp(min=0)).mean()
