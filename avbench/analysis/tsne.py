"""Clip features in the plane by t-SNE, coloured by class (FauForensics, Figure 7; arXiv 2505.08294).

Letters: B clips, L features. A map shows neighbourhoods, no distances; beside it stand two numbers of the features
themselves, which no map can flatter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from avbench.errors import UserError
from avbench.records.style import COLOURS, FAINT, SOFT, saved_figure, write_heading
from avbench.types import Forgery

PERPLEXITY = 30.0
MIN_CLIPS = 8
NEIGHBOURS = 5
PANEL = 4.8  # inches


@dataclass(frozen=True, slots=True)
class Panel:
    """One run's map: a title, a row a clip (id, class, x, y), its perplexity, and what its features say unmapped."""

    title: str
    table: pd.DataFrame
    perplexity: float
    silhouette: float
    neighbours: float


def bearable(perplexity: float, count: int) -> float:
    """Return the perplexity, or a third of the other clips where there are so few."""
    return min(perplexity, (count - 1) / 3)


def embed(features_BL: NDArray[Any], *, seed: int = 0, perplexity: float = PERPLEXITY) -> NDArray[np.float64]:
    """Return the plane (B,2): Barnes-Hut t-SNE from the first two principal components, fixed by the seed.

    The perplexity is lowered where clips are few. Raises UserError for under eight clips.
    """
    from sklearn.manifold import TSNE

    count = len(features_BL)
    if count < MIN_CLIPS:
        raise UserError(f"{count} clips: t-SNE takes at least {MIN_CLIPS}; raise --limit")
    plane = TSNE(2, perplexity=bearable(perplexity, count), init="pca", learning_rate="auto", random_state=seed)
    return np.asarray(plane.fit_transform(np.asarray(features_BL, np.float64)), np.float64)


def separation(features_BL: NDArray[Any], forgery: NDArray[np.int64]) -> tuple[float, float]:
    """Return how apart classes lie in the features: mean silhouette [-1,1], share of clips whose neighbours agree.

    The latter is the accuracy of the five nearest other clips' vote; both are nan where fewer than two classes have
    two clips. Distances are Euclidean.
    """
    from sklearn.metrics import pairwise_distances, silhouette_score

    labels, count = np.unique(forgery, return_counts=True)
    keep = np.isin(forgery, labels[count > 1])
    if len(np.unique(forgery[keep])) < 2:
        return float("nan"), float("nan")
    features, kept = np.asarray(features_BL, np.float64)[keep], forgery[keep]
    distance = pairwise_distances(features)
    np.fill_diagonal(distance, np.inf)
    nearest = np.argsort(distance, axis=1, kind="stable")[:, : min(NEIGHBOURS, len(kept) - 1)]
    votes = np.array([np.bincount(kept[row], minlength=4).argmax() for row in nearest])
    return float(silhouette_score(features, kept)), float((votes == kept).mean())


def panel(
    title: str,
    ids: Sequence[str],
    forgery: NDArray[np.int64],
    features_BL: NDArray[Any],
    *,
    seed: int,
    perplexity: float,
) -> Panel:
    """Return the map of one run's clips."""
    plane = embed(features_BL, seed=seed, perplexity=perplexity)
    table = pd.DataFrame(
        {"id": ids, "class": [Forgery(int(f)).name for f in forgery], "x": plane[:, 0], "y": plane[:, 1]}
    )
    return Panel(title, table, bearable(perplexity, len(ids)), *separation(features_BL, forgery))


def draw_tsne(panels: Sequence[Panel], heading: str, below: str, path: Path) -> list[Path]:
    """Draw maps side by side as PNG and SVG."""
    with saved_figure(path, (PANEL * len(panels) + 0.2, PANEL + 1.2)) as figure:
        drawn = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, one in zip(drawn, panels, strict=True):
            for forgery in Forgery:
                rows = one.table[one.table["class"] == forgery.name]
                if len(rows):
                    axes.scatter(
                        rows["x"],
                        rows["y"],
                        s=26,
                        color=COLOURS[forgery.name],
                        alpha=0.8,
                        linewidth=0,
                        label=forgery.name,
                    )
            axes.set_title(one.title, fontsize=9, pad=19)
            agree = f"neighbours agree {100 * one.neighbours:.0f} %"
            numbers = f"silhouette {one.silhouette:.2f} · {agree} · perplexity {one.perplexity:.3g}"
            axes.annotate(
                numbers, (0, 1), (0, 6), xycoords="axes fraction", textcoords="offset points", fontsize=8.5, color=SOFT
            )
            axes.set(xticks=[], yticks=[], box_aspect=1)
            axes.spines[:].set_visible(True)
            axes.spines[:].set_color(FAINT)
            axes.margins(0.08)
        figure.tight_layout(rect=(0, 0.05, 1, 1 - 0.8 / figure.get_figheight()), w_pad=2)
        handles = {
            label: handle for axes in drawn for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        order = [f.name for f in Forgery if f.name in handles]
        figure.legend([handles[n] for n in order], order, loc="lower left", ncols=4, bbox_to_anchor=(0.01, 0.0))
        write_heading(figure, heading, below)
    return [path.with_suffix(".png"), path.with_suffix(".svg")]
