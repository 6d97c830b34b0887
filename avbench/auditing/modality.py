"""One stream alone: what a perfect detector of it could reach, and whether an untouched stream still tells its video.

The untouched stream of a fake should be the original's. Where it was encoded again, or comes from elsewhere, a
detector of this stream tells RARV from fakes that it cannot see (the blind-modality control of `metrics.measuring`).
Without any training: bytes are compared, and a small logistic regression on simple numbers of the stream is
cross-validated, once on the numbers as they are, once on their differences from the other videos of the same cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from avbench.auditing.areas import area, grouped_folds
from avbench.auditing.picture_facts import LOOK_NAMES
from avbench.auditing.sound_facts import BAND_NAMES
from avbench.auditing.verdicts import TELLS, Area, Verdict, in_part, worst
from avbench.metrics import definitions as metrics
from avbench.metrics.measuring import UNSEEN
from avbench.records.table import percent
from avbench.types import Forgery, Stream

NAMES: Mapping[Stream, str] = {"audio": "sound", "video": "pictures"}
NUMBERS: Mapping[Stream, tuple[str, ...]] = {
    "audio": ("audio_kbps", "audio_packet_spread", "loudness", *BAND_NAMES),
    "video": ("video_kbps", "video_packet_spread", "key_frames", *LOOK_NAMES),
}
STRENGTH = 0.1  # of the regression's coefficients, C of scikit-learn
NEARLY_ALL = 0.95  # AUC that one stream alone can reach, above which a database cannot show that two are needed


@dataclass(frozen=True, slots=True)
class Untouched:
    """What tells RARV from fakes whose `stream` is untouched.

    `same_bytes` of `compared` such fakes have this stream packet by packet from a RARV video of their cluster. `seen`
    is the cross-validated AUC as a detector would meet it, `beside` that of differences from the others of the cluster.
    """

    stream: Stream
    against: str
    compared: int
    same_bytes: int
    seen: Area
    beside: Area

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def untouched(table: pd.DataFrame, stream: Stream, *, resamples: int = 1000, seed: int = 0) -> Untouched:
    """Compare the untouched stream of fakes with that of RARV videos."""
    unseen = UNSEEN[stream]
    rows = table[table["forgery"].isin([Forgery.RARV, unseen]) & table[f"has_{stream}"].eq(True)]
    rows = rows.reset_index(drop=True)
    fake = rows["forgery"] == unseen
    compared, same = _same_bytes(rows, fake, f"{stream}_hash")
    numbers = _numbers(rows, NUMBERS[stream])
    areas = []
    for values in (numbers, numbers - _means(numbers, rows["cluster"])):
        score = _cross_validated(values, fake.to_numpy(), rows["cluster"].to_numpy(), seed)
        areas.append(area(pd.Series(score, rows.index), fake, rows["cluster"], resamples=resamples, seed=seed))
    return Untouched(stream, unseen.name, compared, same, *areas)


def _same_bytes(rows: pd.DataFrame, fake: pd.Series, column: str) -> tuple[int, int]:
    """Return how many fakes have a real video in their cluster, and how many of those share the stream's packets."""
    originals = set(rows.loc[~fake, "cluster"])
    pairs = set(zip(rows.loc[~fake, "cluster"], rows.loc[~fake, column], strict=True))
    compared = rows[fake & rows["cluster"].isin(originals)]
    return len(compared), sum(pair in pairs for pair in zip(compared["cluster"], compared[column], strict=True))


def _numbers(rows: pd.DataFrame, names: tuple[str, ...]) -> NDArray[np.float64]:
    """Return the numbers (N,F) in robust units; a missing one is the median."""
    values: NDArray[np.float64] = rows.reindex(columns=list(names)).to_numpy(np.float64, na_value=np.nan).copy()
    if not len(values):
        return values
    empty = np.isnan(values).all(axis=0)
    values[:, empty] = 0.0
    middle = np.nanmedian(values, axis=0)
    values = np.where(np.isnan(values), middle, values)
    spread = values.std(axis=0)
    return np.clip((values - middle) / np.where(spread > 1e-9, spread, 1.0), -8, 8)


def _means(numbers: NDArray[np.float64], cluster: pd.Series) -> NDArray[np.float64]:
    return np.asarray(pd.DataFrame(numbers).groupby(cluster.to_numpy()).transform("mean"), np.float64)


def _cross_validated(
    numbers: NDArray[np.float64], fake: NDArray[np.bool_], cluster: NDArray[np.object_], seed: int
) -> NDArray[np.float64]:
    """Return the log odds of each row by a regression that saw no row of its cluster; nan where there is none."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    score = np.full(len(fake), np.nan)
    for train, test in grouped_folds(fake, cluster, seed):
        scale = StandardScaler().fit(numbers[train])
        model = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=1000)
        model.fit(scale.transform(numbers[train]), fake[train])
        # Regressions of different folds are compared through their own mean, which must not tell the fold.
        score[test] = np.round(model.decision_function(scale.transform(numbers[test])), 9)
    return score


def untouched_verdict(found: Untouched, part: str) -> Verdict:
    """Return what it means that an untouched stream tells its video, or does not."""
    name = NAMES[found.stream]
    if found.seen.value is None:
        missing = f"no {found.against} and RARV videos of two clusters or more with {name} in {part}"
        return Verdict(f"untouched {name}", (4,), "not applicable", missing)
    seen, beside = found.seen.one_sided(), found.beside.one_sided()
    level = worst([seen.level, "warning" if beside.level == "fail" else beside.level])
    evidence = (
        f"{name} alone tells {found.against} from RARV: AUC {found.seen.shown}, "
        f"{found.beside.shown} beside its cluster's others; 50 is expected"
    )
    if found.compared:
        share = percent(found.same_bytes / found.compared)
        evidence += f"; {share} % of {found.compared} have the original's bytes"
    advice = f"the {name} of these fakes were made anew: mark detectors of {name} alone, encode every video alike"
    if found.seen.few_clusters:
        evidence += f" (few clusters: {found.seen.clusters})"
    told = max(seen.surely, beside.surely) > TELLS
    return Verdict(
        f"untouched {name}",
        (4,),
        level,
        in_part(evidence, part),
        advice if told else "",
        found.seen.value,
        found.seen.ci95,
        found.seen.few_clusters,
    )


def ceilings(forgery: pd.Series) -> dict[str, dict[str, float | None]]:
    """Return Acc, AUC and balanced Acc of a perfect detector of each stream, and of calling everything fake."""
    found = {}
    seen = {"video": forgery & 1, "audio": forgery & 2, "constant": forgery * 0 + 1}
    for name, bits in seen.items():
        perfect = pd.DataFrame({"forgery": forgery, "score": (bits > 0).astype(float)})
        found[name] = {
            metric: None if np.isnan(value) else value
            for metric, value in (
                ("acc", metrics.acc(perfect)),
                ("auc", metrics.auc(perfect)),
                ("balanced_acc", metrics.balanced_acc(perfect)),
            )
        }
    return found


def ceiling_verdict(found: Mapping[str, Mapping[str, float | None]], part: str) -> Verdict:
    """Return whether a perfect detector of one stream already reaches nearly everything."""
    areas = {stream: found[stream]["auc"] for stream in ("video", "audio")}
    if None in areas.values():
        return Verdict("modality ceilings", (6,), "not applicable", f"real or fake videos alone in {part}")
    shown = ", ".join(
        f"{stream} alone Acc {percent(found[stream]['acc'])} AUC {percent(found[stream]['auc'])}" for stream in areas
    )
    evidence = f"a perfect detector reaches: {shown}; all called fake Acc {percent(found['constant']['acc'])}"
    high = [stream for stream, value in areas.items() if value is not None and value >= NEARLY_ALL]
    who = f"a perfect detector of {' or '.join(high)} alone"
    advice = f"{who} wins here: report each class against RARV" if high else ""
    return Verdict("modality ceilings", (6,), "warning" if high else "ok", evidence, advice)


def lines(found: Mapping[str, Mapping[str, float | None]]) -> Iterator[tuple[str, ...]]:
    """Yield a row of texts for each ceiling."""
    names = {"video": "pictures, perfectly", "audio": "sound, perfectly", "constant": "nothing: all called fake"}
    for name, values in found.items():
        yield (names[name], *(percent(values[metric]) for metric in ("acc", "balanced_acc", "auc")))
