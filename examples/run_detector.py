"""Runs one detector under one protocol and prints what was measured.

    python examples/run_detector.py [DETECTOR PROTOCOL [DATASET=FOLDER ...]]

Without data, the demo databases are made and used: their numbers mean nothing about real forgeries.
"""

import sys

import avbench


def main() -> None:
    detector, protocol, *data = sys.argv[1:] or ["aasist_l", "cross_lavdf_to_fakeav"]
    roots = dict(text.split("=") for text in data)

    run = avbench.run(detector, protocol, task="binary", data=roots or None, seed=0)

    print(run.title)
    metrics = run.metrics  # a row for each value, with the ends of its 95 % interval
    videos = metrics[metrics["granularity"] == "video"]
    print(videos[["placement", "metric", "value", "low", "high", "n"]].to_string(index=False))
    for (placement, granularity), counts in run.confusion.items():
        print(f"\n{placement} placement, by {granularity}\n{counts}")
    print(f"\neverything lies in {run.folder}")


if __name__ == "__main__":  # loading processes may import this file again
    main()
