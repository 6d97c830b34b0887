"""Files that give no clip: counted, told of, and the end of the work when there are too many."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from math import inf
from typing import TYPE_CHECKING

from avbench.data.file_times import FileTimes
from avbench.data.loading import LoadedBatch, Loading
from avbench.errors import UserError
from avbench.types import Reason

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)
FAULTS = {
    Reason.MISSING_FILE,
    Reason.UNREADABLE,
    Reason.BAD_MEDIA,
    Reason.PERIOD_MISSED,
    Reason.DECODER_CRASH,
    Reason.DECODER_TIMEOUT,
    Reason.OUT_OF_MEMORY,
}
# What files are not to blame for alone.
_BOUNDED = {Reason.DECODER_TIMEOUT, Reason.OUT_OF_MEMORY}
NOT_THEIRS = "if it comes of a setting (--set clip...) or of a plugin, change that, else please report it"
# So many files in a row, and none before them that could be loaded, do not fail by the same error for what they hold.
ALIKE = 3


class FailureBudget:
    """Counts files that failed; too many end the work, with what was measured kept.

    So does an error of code, or of a setting, that no file is to blame for. `files` are those not opened again.
    """

    def __init__(self, samples: int, loading: Loading) -> None:
        self.files = FileTimes(inf)
        self._any_loaded = False
        self._faults: dict[str, str] = {}  # what was no fault of the file, by sample
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
        self._any_loaded |= len(failed) < len(rows)
        for name, reason in zip(failed["id"], failed["reason"], strict=True):
            self.without_clip[name] = Reason(reason)
            if Reason(reason) in FAULTS:
                self.seen[name] = Reason(reason)
        self._require_few()

    def note(self, loaded: LoadedBatch) -> None:
        """Log failures; raise UserError when more files failed than are allowed, or all by the same error of code."""
        self._any_loaded |= bool(loaded.requests)
        for failure in loaded.failures:
            name = failure.request.sample.id
            self.without_clip[name] = failure.reason
            if failure.reason in FAULTS and name not in self.seen:
                log.warning("%s: %s", failure.reason, failure.message)
                self.seen[name] = failure.reason
            if failure.fault:
                self._faults.setdefault(name, failure.fault)
        self._require_sound_code()
        self._require_few()

    def _require_sound_code(self) -> None:
        kinds = set(self._faults.values())
        if self._any_loaded or len(kinds) != 1 or len(self._faults) < min(ALIKE, self.samples):
            return
        if len(self._faults) == len(self.without_clip):
            raise UserError(
                f"none of the first {len(self._faults)} files could be loaded, by the same error, which is not theirs: "
                f"{kinds.pop()}; {NOT_THEIRS}"
            )

    def _require_few(self) -> None:
        if len(self.seen) > self.allowed:
            first = ", ".join(f"{name} ({reason})" for name, reason in list(self.seen.items())[:3])
            raise UserError(
                f"{len(self.seen)} of {self.samples} files failed, more than {self.allowed} allowed: {first} ...; "
                f"{self._advice()}, or allow more with --max-errors 0.1; what was measured of files that stay as they "
                "are is kept"
            )

    def _advice(self) -> str:
        """Return what can be done about the files that failed, by what they failed for."""
        reasons, faults = set(self.seen.values()), Counter(self._faults.values())
        found = []
        if faults:
            fault, count = faults.most_common(1)[0]
            found.append(f"{count} of them failed by an error that is not theirs: {fault}; {NOT_THEIRS}")
        if reasons - _BOUNDED and len(faults) < len(self.seen):
            found.append("mend the data and repeat the command")
        if Reason.DECODER_TIMEOUT in reasons:
            found.append("give each file more time with --file-seconds")
        if Reason.OUT_OF_MEMORY in reasons:
            found.append("allow each file more memory with --file-memory")
        return "; ".join(found)
