"""Files that give no clip: counted, told of, and the end of the work when there are too many."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from avbench.data.loading import LoadedBatch, Loading
from avbench.errors import UserError
from avbench.types import Reason

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)
FAULTS = {
    Reason.MISSING_FILE,
    Reason.UNREADABLE,
    Reason.PERIOD_MISSED,
    Reason.DECODER_CRASH,
    Reason.DECODER_TIMEOUT,
}


class FailureBudget:
    """Counts files that failed; too many end the work, with what was measured kept."""

    def __init__(self, samples: int, loading: Loading) -> None:
        self.allowed = loading.allowed(samples)
        self.samples = samples
        self.seen: dict[str, Reason] = {}
        self.without_clip: dict[str, Reason] = {}  # files that are sound give none either where they are too short

    @property
    def reasons(self) -> dict[str, int]:
        """Return how many samples gave no clip, by reason."""
        return dict(sorted(Counter(str(reason) for reason in self.without_clip.values()).items()))

    def restore(self, failed_files: Mapping[str, str], without_clip: Mapping[str, str]) -> None:
        """Count what was noted before an interruption too: reasons by sample."""
        self.seen |= {name: Reason(reason) for name, reason in failed_files.items()}
        self.without_clip |= {name: Reason(reason) for name, reason in without_clip.items()}

    def count(self, rows: pd.DataFrame) -> None:
        """Count what an earlier call measured: a repeated command allows no more failures than one."""
        failed = rows[rows["reason"] != ""]
        for name, reason in zip(failed["id"], failed["reason"], strict=True):
            self.without_clip[name] = Reason(reason)
            if Reason(reason) in FAULTS:
                self.seen[name] = Reason(reason)
        self._require_few()

    def note(self, loaded: LoadedBatch) -> None:
        """Log failures; raise UserError when more files failed than are allowed."""
        for failure in loaded.failures:
            name = failure.request.sample.id
            self.without_clip[name] = failure.reason
            if failure.reason in FAULTS and name not in self.seen:
                log.warning("%s: %s", failure.reason, failure.message)
                self.seen[name] = failure.reason
        self._require_few()

    def _require_few(self) -> None:
        if len(self.seen) > self.allowed:
            first = ", ".join(f"{name} ({reason})" for name, reason in list(self.seen.items())[:3])
            raise UserError(
                f"{len(self.seen)} of {self.samples} files failed, more than {self.allowed} allowed: {first} ...; "
                "mend the data and repeat the command, or allow more with --max-errors 0.1; what was measured of files "
                "that stay as they are is kept"
            )
