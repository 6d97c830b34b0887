"""The examples: each runs as printed, on small videos or with detectors that learn in a moment, and stays short.

Each starts Python anew, so that they are slow tests; `.ci/run` runs them too.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def carry_out(script: str, *words: str, at: Path) -> str:
    """Run an example in an empty folder, its results below, and return what it printed."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script), *words],
        cwd=at,
        env={**os.environ, "AVBENCH_RESULTS": str(at / "results")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def data(tiny: Path) -> str:
    """Return the small videos as examples are told of them."""
    return f"folder={tiny}"


@pytest.mark.slow
def test_run_detector(data: str, tmp_path: Path) -> None:
    printed = carry_out("run_detector.py", "majority", "within_folder", data, at=tmp_path)
    assert "balanced_acc" in printed and "oracle placement, by video" in printed
    assert list((tmp_path / "results" / "runs").glob("majority-within_folder-binary-s0-*/card.json"))


@pytest.mark.slow
def test_own_detector(data: str, tmp_path: Path) -> None:
    assert "AUC " in carry_out("own_detector.py", "within_folder", data, at=tmp_path)


@pytest.mark.slow
def test_sweep_perturbations(data: str, tmp_path: Path) -> None:
    printed = carry_out("sweep_perturbations.py", "within_folder", data, at=tmp_path)
    assert re.search(r"^gaussian_noise +1 ", printed, re.MULTILINE) and re.search(
        r"^white_noise +1 ", printed, re.MULTILINE
    )
    assert "robustness.png" in printed
    assert len(list((tmp_path / "results" / "trainings").iterdir())) == 1  # that of the clean run


@pytest.mark.slow
def test_compare_runs(data: str, tmp_path: Path) -> None:
    printed = carry_out("compare_runs.py", "majority", "metadata", "within_folder", data, at=tmp_path)
    assert "difference" in printed and "balanced" in printed.lower()
    assert len(list((tmp_path / "results" / "runs").glob("*/card.json"))) == 2


@pytest.mark.slow
def test_external_scores(data: str, tmp_path: Path) -> None:
    printed = carry_out("external_scores.py", "within_folder", data, at=tmp_path)
    assert "external" in printed and "AUC" in printed


@pytest.mark.slow
def test_minimal_benchmark(demo_root: Path, tmp_path: Path) -> None:
    printed = carry_out("minimal_benchmark.py", "majority", "metadata", at=tmp_path)
    assert printed.count("AUC ") >= 4 and "DEMO DATA" in printed
    assert (tmp_path / "results" / "runs" / "report.html").is_file()


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_examples_are_short_and_each_is_run(script: Path) -> None:
    assert 15 <= len(script.read_text("utf-8").splitlines()) <= 50
    assert f'"{script.name}"' in Path(__file__).read_text("utf-8")
