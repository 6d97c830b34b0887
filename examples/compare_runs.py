"""Compares two detectors on the videos that both scored, then shows every run there is in one table.

python examples/compare_runs.py [DETECTOR DETECTOR [PROTOCOL [DATASET=FOLDER ...]]]
"""

import subprocess
import sys

import avbench


def main() -> None:
    words = sys.argv[1:] or ["aasist_l", "leading_silence"]
    first, second, protocol, *data = [*words, "cross_lavdf_to_fakeav"] if len(words) == 2 else words
    roots = dict(text.split("=") for text in data)
    runs = [avbench.run(name, protocol, task="binary", data=roots or None) for name in (first, second)]

    # Paired: the interval draws the same people for both. Two separate intervals would hide a difference.
    print(avbench.compare(*runs).differences.to_string(index=False))

    # Every run in the results folder in one table; once the paper's detectors are there, `--paper table3` lays them
    # out as its Table III, reported beside measured.
    results = runs[0].folder.parent.parent
    subprocess.run([sys.executable, "-m", "avbench", "report", "--out", str(results)], check=True)


if __name__ == "__main__":
    main()
