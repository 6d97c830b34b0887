"""A run as it lies on disk: its card, its folder, and what is in it as tables, read when they are asked for."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from avbench.errors import UserError
from avbench.records.card import Card

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)


SCORES = "scores.parquet"


@dataclass(frozen=True, repr=False)
class Run:
    """One run of the benchmark.

    `card` is everything that is known of it, as in card.json; `folder` holds card.json, scores.parquet, curves.csv and
    figures/. A run that is not finished has a card without metrics; its tables raise UserError.
    """

    card: Card
    folder: Path

    @classmethod
    def read(cls, folder: str | Path) -> Run:
        """Return the run of a folder; UserError where there is none."""
        return cls(Card.load(Path(folder)), Path(folder))

    @property
    def id(self) -> str:
        """Return what the run is called: detector, protocol, task, seed and a hash of all that shapes it."""
        return self.card.id

    @property
    def title(self) -> str:
        """Return the run in one line; one of demo data says so first."""
        return self.card.title

    @property
    def finished(self) -> bool:
        """Whether it has been computed to the end."""
        return self.card.is_finished

    @property
    def results_folder(self) -> Path:
        """Return the folder whose runs/ it is in."""
        return self.folder.resolve().parents[1]

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Return a row for each judged clip: id, identity, forgery, placement, start and end in seconds, score, ...

        Raises UserError for a file that is not the one that was measured; of some earlier versions nobody can tell.
        `score` is P(fake), null where the clip has none, with the `reason` why; `logit` its log-odds. See
        docs/results.md for every column.
        """
        from avbench.records import scores

        self.require_finished()
        table, _ = scores.read(self.folder / SCORES, self.card.scores_sha256)
        if self.card.detector.pooling == "mean_logit" and table["score"].notna().any() and table["logit"].isna().all():
            log.warning(
                "%s: an earlier version kept no logits, so that those of its clips count as 16 at most when they are "
                "averaged; judge again with --fresh",
                self.id,
            )
        return table

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """Return a row for each measured value: placement, granularity, metric, value, low, high, n.

        Values are shares between 0 and 1 (nan where undefined), `low` and `high` the ends of the 95 % interval over
        clusters (nan without one), `n` the videos or clips that were measured. The headline placement comes first.
        """
        import pandas as pd

        self.require_finished()
        rows = [
            (*setting, name, one.value, *(one.ci95 or (None, None)), one.n)
            for setting in self.card.settings()
            for name, one in self.card.metrics_at(setting).items()
        ]
        table = pd.DataFrame(rows, columns=["placement", "granularity", "metric", "value", "low", "high", "n"])
        return table.astype({"value": float, "low": float, "high": float})

    @cached_property
    def confusion(self) -> Mapping[tuple[str, str], pd.DataFrame]:
        """Return the confusion matrices by (placement, granularity): counts, true class by row, called by column."""
        import pandas as pd

        self.require_finished()
        return {
            (placement, granularity): pd.DataFrame(
                found.matrix, index=pd.Index(found.labels, name="true"), columns=pd.Index(found.labels, name="called")
            )
            for placement, granularities in self.card.confusion.items()
            for granularity, found in granularities.items()
        }

    @property
    def figures(self) -> Mapping[str, Path]:
        """Return the figures by name, such as roc_oracle_video, as PNG; an SVG of the same name lies beside each."""
        return {path.stem: path for path in sorted((self.folder / "figures").glob("*.png"))}

    def require_finished(self) -> None:
        """Raise UserError for a run that is not finished, with what to do about it."""
        if not self.finished:
            raise UserError(f"{self.id}: this run is {self.card.status}; repeat its command to finish it first")

    def __repr__(self) -> str:
        return f"<Run {self.id}: {self.title}, {self.card.status}>"
