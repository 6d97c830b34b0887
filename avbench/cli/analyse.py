"""`avbench analyse`: the analysis figures of the FauForensics paper for finished runs, with their numbers as CSV."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from avbench.cli import selecting
from avbench.cli.terminal import bar, say
from avbench.errors import UserError
from avbench.paths import results_folder
from avbench.records.runs import Runs

if TYPE_CHECKING:
    import pandas as pd

    from avbench.analysis.collecting import Clips
    from avbench.analysis.subject import Subject

log = logging.getLogger(__name__)
FIGURES = {
    "correlation": "how action units hang together over time, real against fake",
    "tsne": "clip features in the plane, a map a run",
    "attention": "how the moments of one clip go together, as the network sees them",
    "phonemes": "lips against phonemes for the four classes of one speaker",
}
EXAMPLES = """examples:
  avbench analyse correlation --run fauforensics-within_fakeav
  avbench analyse correlation --run fauforensics-within_fakeav --units au
  avbench analyse tsne --run RUN --run RUN_WITHOUT_FAU
  avbench analyse attention --run RUN --video id00043/00109.mp4
  avbench analyse phonemes --run RUN --video id00043/00109.mp4 --phonemes aligned/ --units openface/

A run is an id, the beginning of one, or a folder. Figures go to the run's own figures folder. What each one measures is
told in docs/analysis.md.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "figure", choices=FIGURES, metavar="FIGURE", help="; ".join(f"{k}: {v}" for k, v in FIGURES.items())
    )
    parser.add_argument(
        "--run", action="append", required=True, metavar="RUN", help="a finished run; tsne takes several"
    )
    parser.add_argument("--data", action="append", default=[], metavar="ROOT|NAME=PATH", help="where the data lie now")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N test videos")
    parser.add_argument(
        "--video",
        action="append",
        default=[],
        metavar="ID",
        help="attention, phonemes: an id, or how it begins or ends; to one, phonemes finds the other classes",
    )
    parser.add_argument(
        "--units",
        default="",
        metavar="TARGET|FILE|DIR",
        help="correlation: the dataset's truth of this name, such as au (default: the detector's encoder of action "
        "units); phonemes: CSV of OpenFace (a folder: by id; default: the dataset's own)",
    )
    parser.add_argument("--perplexity", type=float, default=30.0, metavar="P", help="of tsne (default: 30)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of tsne (default: 0)")
    parser.add_argument(
        "--phonemes",
        type=Path,
        metavar="FILE|DIR",
        help="TextGrid or CTM (a folder: by id; default: the dataset's own)",
    )
    parser.add_argument("--closing", nargs="+", default=["p", "b", "m"], metavar="PHONEME", help="default: p b m")
    parser.add_argument("--start", type=float, metavar="S", help="first second drawn (default: by the first of those)")
    parser.add_argument("--seconds", type=float, default=1.6, metavar="S", help="how much is drawn (default: 1.6)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0 (default: auto)")
    parser.add_argument("--workers", type=int, default=None, metavar="N", help="decoding processes (default: by cores)")
    parser.add_argument(
        "--max-errors", type=float, default=0.01, metavar="SHARE", help="files that may fail (default: 0.01)"
    )
    selecting.add_bounds(parser)
    parser.add_argument("--out", type=Path, metavar="DIR", help="results folder (default: results/)")
    parser.add_argument("--no-mlflow", action="store_true", help="do not log to MLflow")


def _check(arguments: argparse.Namespace) -> None:
    """Raise UserError for values that nothing can be drawn with."""
    if arguments.workers is not None and arguments.workers < 0:
        raise UserError(f"--workers {arguments.workers}: use 0 (decode in this process) or more")
    if arguments.limit is not None and arguments.limit < 1:
        raise UserError(f"--limit {arguments.limit}: use 1 or more")
    if arguments.figure != "tsne" and len(arguments.run) > 1:
        raise UserError(f"--run is given {len(arguments.run)} times; {arguments.figure} draws one run")
    if arguments.figure in ("attention", "phonemes") and not arguments.video:
        raise UserError(f"{arguments.figure} draws one video: name it with --video")
    if arguments.figure == "attention" and len(arguments.video) > 1:
        raise UserError(f"--video is given {len(arguments.video)} times; attention draws one video")
    if not arguments.perplexity > 0 or arguments.seed < 0:
        raise UserError("--perplexity is above 0, --seed 0 or more")
    if not arguments.seconds > 0 or (arguments.start or 0) < 0:
        raise UserError("--seconds is above 0, --start 0 or more")


def slug(name: str) -> str:
    """Return a video's id as a part of a file's name."""
    return "".join(c if c.isalnum() else "-" for c in name.rsplit(".", 1)[0]).strip("-")


def execute(arguments: argparse.Namespace) -> int:
    """Open the runs, draw the figure, say where it lies."""
    from avbench.engine.devices import device_named

    _check(arguments)
    device_named(arguments.device)
    subjects = _subjects(arguments)
    draw = {"correlation": _correlation, "tsne": _tsne, "attention": _attention, "phonemes": _phonemes}
    table, paths = draw[arguments.figure](arguments, subjects)
    from avbench.analysis.keeping import keep

    kept = keep(table, paths)
    if not arguments.no_mlflow:
        _log(subjects[0], kept)
    for path in kept:
        say(str(path))
    return 0


def _log(subject: Subject, paths: list[Path]) -> None:
    """Add figures to the run in MLflow where it is up; what was drawn is there, whatever becomes of the server."""
    from avbench.report.tracking import log_figures

    try:
        log_figures(subject.card.id, subject.folder, paths)
    except Exception as error:
        log.warning("not logged to MLflow (%s)", str(error).splitlines()[0] if str(error) else type(error).__name__)


def _subjects(arguments: argparse.Namespace) -> list[Subject]:
    from avbench.analysis.subject import open_run
    from avbench.data.databases import read_roots
    from avbench.plugins.registry import installed

    runs, subjects = Runs(arguments.out or results_folder()), []
    for name in arguments.run:
        folder = runs.one(name).folder
        subjects.append(open_run(folder, installed(), read_roots(arguments.data), limit=arguments.limit, say=say))
        subjects[-1].figures.mkdir(exist_ok=True)
    return subjects


def _collector(arguments: argparse.Namespace) -> Callable[..., Clips]:
    from avbench.analysis.collecting import collect
    from avbench.plugins.registry import installed

    loading = selecting.loading_of(arguments, installed())
    return partial(collect, loading=loading, device=arguments.device, progress=bar)


def _correlation(arguments: argparse.Namespace, subjects: list[Subject]) -> tuple[pd.DataFrame, list[Path]]:
    from avbench.analysis.collecting import UNITS
    from avbench.analysis.correlation import table_of
    from avbench.analysis.correlation_figure import draw_correlation

    (subject,) = subjects
    seen = not arguments.units
    name = UNITS if seen else arguments.units
    clips = _collector(arguments)(subject, **({"names": (name,)} if seen else {"annotations": (name,)}))
    series = [one[:frames] for one, frames in zip(clips.features[name], clips.frames, strict=True)]
    table = table_of(clips.ids, clips.clusters, clips.forgery, series)
    if not table["intensity"].notna().any():
        raise UserError(f"{name}: unknown in every clip of {subject.resolved.lists.test.title}")
    source = "the detector's encoder of action units" if seen else f"{name} of the data, {series[0].shape[1]} units"
    below = f"{subject.title}\nPearson's r over the units of two frames, mean over all pairs of a clip; units: {source}"
    path = subject.figures / f"analysis_correlation{'' if seen else f'_{name}'}"
    return table, draw_correlation(
        table, subject.heading("Temporal correlation of action units"), below, subject.fps, path
    )


def _tsne(arguments: argparse.Namespace, subjects: list[Subject]) -> tuple[pd.DataFrame, list[Path]]:
    import pandas as pd

    from avbench.analysis.collecting import JOINT
    from avbench.analysis.tsne import draw_tsne, panel

    panels = []
    for subject in subjects:
        clips = _collector(arguments)(subject, names=(JOINT,))
        features = clips.features[JOINT].reshape(len(clips.ids), -1)
        options = {"seed": arguments.seed, "perplexity": arguments.perplexity}
        panels.append(panel(subject.title, clips.ids, clips.forgery, features, **options))
    table = pd.concat([one.table.assign(run=s.card.id) for one, s in zip(panels, subjects, strict=True)])
    below = f"t-SNE of what the clip's classifier reads, seed {arguments.seed}"
    name = "analysis_tsne" + "".join(f"_{s.card.id[-8:]}" for s in subjects[1:])
    heading = f"Clip features{' (demo data)' if any(s.demo for s in subjects) else ''}"
    return table, draw_tsne(panels, heading, below, subjects[0].figures / name)


def _attention(arguments: argparse.Namespace, subjects: list[Subject]) -> tuple[pd.DataFrame, list[Path]]:
    from avbench.analysis.attention import PREFIX, draw_attention, matrices_of, table_of

    (subject,) = subjects
    sample = subject.sample(arguments.video[0])
    clips = _collector(arguments)(subject, samples=[sample], keep_media=True)
    matrices = matrices_of(clips.features, 0)
    if not matrices:
        raise UserError(f"{subject.card.id}: with its settings {subject.card.detector.name} has no {PREFIX} matrix")
    assert clips.pictures is not None and clips.sound is not None
    clip = subject.resolved.config.clip
    below = f"{subject.title}\n{sample.id}, {sample.forgery.name}, from {clips.starts[0]:.2f} s on"
    path = subject.figures / f"analysis_attention_{slug(sample.id)}"
    heading = subject.heading("Temporal attention")
    return table_of(matrices), draw_attention(
        matrices, clips.pictures[0], clips.sound[0], clip.seconds, path, heading=heading, below=below
    )


def _phonemes(arguments: argparse.Namespace, subjects: list[Subject]) -> tuple[pd.DataFrame, list[Path]]:
    from avbench.analysis import phonemes
    from avbench.analysis.phonemes_figure import draw_phonemes
    from avbench.analysis.pictures import along

    (subject,) = subjects
    named = [subject.sample(name) for name in arguments.video]
    chosen = named if len(named) > 1 else phonemes.siblings(named[0], subject.resolved.lists.test.samples())
    units = Path(arguments.units) if arguments.units else None
    tracks = [phonemes.track(sample, arguments.phonemes, units, subject.fps) for sample in subject.with_truth(chosen)]
    span = phonemes.window(tracks, arguments.closing, arguments.start, arguments.seconds)
    pictures = [along(one.sample, span, subject.resolved.config.clip) for one in tracks]
    source = "OpenFace" if arguments.units else "the data's own truth"
    below = f"{phonemes.UNIT} (lips part, 0 to 5) from {source}; phonemes as heard, those that close the lips in colour"
    path = subject.figures / f"analysis_phonemes_{slug(named[0].id)}"
    heading = subject.heading("Lips against phonemes")
    drawn = draw_phonemes(tracks, pictures, span, arguments.closing, path, heading=heading, below=below)
    return phonemes.table_of(tracks), drawn
