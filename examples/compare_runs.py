"""Compares two detectors on the videos that both scored, then lays out the paper's table of the runs there are.

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

    print(avbench.compare(*runs))  # differences with paired intervals; two separate intervals would hide them

    # Every run in the results folder, laid out as Table III of the paper: reported beside measured.
    results = runs[0].folder.parent.parent
    subprocess.run([sys.executable, "-m", "avbench", "report", "--paper", "table3", "--out", str(results)], check=True)


if __name__ == "__main__":
    main()
