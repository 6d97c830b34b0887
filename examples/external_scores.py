"""Judges scores that another framework made: the same lists, metrics, intervals and card, marked "external".

python examples/external_scores.py [PROTOCOL [DATASET=FOLDER ...]]
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd


def avbench(*words: str) -> None:
    """Carry out a command of avbench."""
    subprocess.run([sys.executable, "-m", "avbench", *words], check=True)


def main() -> None:
    protocol, *data = sys.argv[1:] or ["cross_lavdf_to_fakeav"]
    where = [word for text in data for word in ("--data", text)]
    folder = Path(tempfile.mkdtemp())

    # 1. Which videos are tested: ids, paths, labels.
    avbench("export-list", protocol, "--out", str(folder / "list.csv"), *where)
    videos = pd.read_csv(folder / "list.csv")

    # 2. Your framework scores them. Here it is the size of the file, which should tell nothing; up = fake.
    sizes = videos["path"].map(lambda path: Path(path).stat().st_size)
    scores = pd.DataFrame({"id": videos["id"], "score": sizes.rank(pct=True)})
    scores.to_csv(folder / "scores.csv", index=False)

    # 3. The same numbers as of any detector here. Videos that you leave out are counted, not forgotten.
    avbench("evaluate", "--scores", str(folder / "scores.csv"), "--protocol", protocol, *where)


if __name__ == "__main__":
    main()
