"""Tests that need shared data are skipped without them, and the end of a run says how many."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_the_end_of_a_run_counts_what_was_skipped_for_want_of_data(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "tests/test_splits.py", "-k", "folds_of_the_table"]
    environment = os.environ | {"AVBENCH_SPECS": str(tmp_path / "absent")}
    ended = subprocess.run(
        command, env=environment, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )
    assert f"1 test skipped: no {tmp_path / 'absent'} (set AVBENCH_SPECS)" in ended.stdout
    assert "1 skipped" in ended.stdout and "passed" not in ended.stdout
