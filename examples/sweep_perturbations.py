"""Trains a detector, then tests it again on perturbed videos: levels 0 to 5 of two perturbations.

python examples/sweep_perturbations.py [PROTOCOL [DATASET=FOLDER ...]]
"""

import sys

from own_detector import MotionAndLoudness

import avbench


def main() -> None:
    protocol, *data = sys.argv[1:] or ["within_fakeav"]
    roots = dict(text.split("=") for text in data)
    settings = {"epochs": 20, "batch": 8, "lr": 0.05, "clip.size": 64}
    run = avbench.run(MotionAndLoudness, protocol, task="binary", data=roots or None, settings=settings)

    # The run's training is used again; level 0, the clean videos, is always among the levels.
    swept = avbench.perturb(run, types=["gaussian_noise", "white_noise"], levels=[1, 3, 5])

    scores = swept.scores.dropna(subset=["score"])  # a row for each clip under each condition; "" is the clean clip
    means = scores.groupby(["perturbation", "level", scores["forgery"] > 0])["score"].mean().unstack()
    means.columns = ["mean score of real videos", "of fakes"]
    print(swept.title)
    print(means.round(3).to_string())
    print(*(f"{name}: {path}" for name, path in swept.figures.items() if "robust" in name), sep="\n")


if __name__ == "__main__":
    main()
