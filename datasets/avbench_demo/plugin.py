"""Declares the demo data, which stand in for LAV-DF and FakeAVCeleb, and the demo faces and speakers."""

from __future__ import annotations

from collections.abc import Iterable

from avbench.hookspecs import hookimpl
from avbench.types import AnnotationSpec, DatasetSpec
from avbench_demo.labels import LIPS, SPEECH

VERSION = 12  # raise when anything that is written changes: trainings on older versions are not used again
# What demo data can be made with, the usual first: values of the arguments of `make_demo`.
CHOICES = (("difficulty", ("medium", "easy", "hard")), ("edition", ("published", "tuning")))
UNITS = ("AU1", "AU2", "AU4", "AU6", "AU9", "AU12", "AU25", "AU26")


@hookimpl
def avbench_datasets() -> Iterable[DatasetSpec]:
    """Yield the demo data, the demo faces and the demo speakers."""
    yield DatasetSpec(
        name="demo",
        title="Demo data",
        scan="avbench_demo.reader:scan",
        make="avbench_demo.make:make_demo",
        choices=CHOICES,
        made="avbench_demo.stamp:made",
        stands_in_for=("lavdf", "fakeav"),
        summary="two small sets of rendered talking faces, made on first use; their numbers mean nothing",
        identity_is="rendered speaker, or root original video",
        locally_forged=True,
        data_version=str(VERSION),
        annotations=(
            AnnotationSpec("au", "avbench_demo.truth:read_units", UNITS, "action units as rendered, intensity 0 to 5"),
        ),
    )
    yield DatasetSpec(
        name="demo_faces",
        title="Demo faces",
        scan="avbench_demo.coded_faces:scan",
        make="avbench_demo.coded_faces:make_faces",
        summary="256 rendered faces with known action units, none of them in the demo data, made on first use",
        identity_is="rendered person",
        annotations=(
            AnnotationSpec("au", "avbench_demo.coded_faces:read_units", UNITS, "action units, intensity 0 to 5"),
        ),
        forgery_labels=False,
    )
    yield DatasetSpec(
        name="demo_speakers",
        title="Demo speakers",
        scan="avbench_demo.speakers:scan",
        make="avbench_demo.speakers:make_speakers",
        summary="400 rendered people who talk, with known lips and speech, none of them elsewhere, made on first use",
        identity_is="rendered person",
        annotations=(
            AnnotationSpec("speech", "avbench_demo.speakers:read_speech", SPEECH, "phoneme, voice and pitch, 1 or 0"),
            AnnotationSpec("lips", "avbench_demo.speakers:read_lips", LIPS, "by how much each threshold is exceeded"),
        ),
        forgery_labels=False,
    )
