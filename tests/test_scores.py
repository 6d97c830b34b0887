"""The scores table: what is written comes back, the same content gives the same bytes, nonsense is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from avbench.errors import UserError
from avbench.records import scores
from avbench.records.external_scores import read_external
from avbench.types import Forgery, Sample

METADATA = {"task": "binary", "run": "r-1", "threshold": 0.42}


def table(**changes: object) -> pd.DataFrame:
    """Two labelled clips of one person each, the second without a score."""
    rows = {
        "id": ["b.mp4", "a.mp4"],
        "identity": ["bob", "ann"],
        "cluster": ["", "root7"],
        "method": ["", "wav2lip"],
        "forgery": [0, 3],
        "clip_forgery": [0, 1],
        "placement": ["oracle"] * 2,
        "start": [0.0, None],
        "end": [1.0, None],
        "score": [0.25, None],
        "reason": ["", "no_face"],
    }
    return pd.DataFrame(rows | changes)


def test_what_is_written_comes_back_typed_filled_and_sorted(tmp_path: Path) -> None:
    scores.write(table(), tmp_path / "scores.parquet", METADATA)
    read, metadata = scores.read(tmp_path / "scores.parquet")
    assert metadata == METADATA
    assert list(read) == list(scores.COLUMNS)
    assert read["id"].tolist() == ["a.mp4", "b.mp4"]
    assert read["cluster"].tolist() == ["root7", "bob"]  # no cluster given: the identity
    assert read["clip_forgery"].tolist() == [1, 0] and read["clip_forgery"].dtype == np.int8
    assert np.isnan(read["score"][0]) and read["score"][1] == 0.25
    assert read["p_rarv"].isna().all() and read["reason"].tolist() == ["no_face", ""]


def test_equal_content_gives_equal_bytes_whatever_the_order(tmp_path: Path) -> None:
    scores.write(table(), tmp_path / "one", METADATA)
    scores.write(table().iloc[::-1].astype({"score": "float32"}), tmp_path / "two", dict(reversed(METADATA.items())))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    scores.write(table(score=[0.26, None]), tmp_path / "two", METADATA)
    assert (tmp_path / "one").read_bytes() != (tmp_path / "two").read_bytes()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "scores.parquet"
    scores.write(table(), path, METADATA)
    before = path.read_bytes()

    def full(*args: object, **kwargs: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(OSError, match="no space"):
        scores.write(table(), path, METADATA)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"score": [1.5, None]}, r"score is not within \[0, 1\]: b.mp4"),
        ({"score": [np.inf, None]}, "score is not within"),
        ({"p_video": [-0.1, None]}, "p_video is not within"),
        ({"reason": ["", ""]}, "no score, and no known reason"),
        ({"reason": ["", "dog ate it"]}, "no score, and no known reason"),
        ({"reason": ["no_face", "no_face"]}, "a score, and a reason"),
        ({"placement": ["oracle", "random"]}, "neither oracle nor sliding"),
        ({"forgery": [0, 4]}, "0 RARV, 1 RAFV"),
        ({"score": ["high", None]}, "no number"),
        ({"end": [0.0, None]}, "ends before it starts"),
        ({"p_rarv": [0.75, None]}, "some class probabilities are missing"),
        (
            {"p_rarv": [0.7, None], "p_rafv": [0.1, None], "p_farv": [0.1, None], "p_fafv": [0.1, None]},
            "not 1 - p_rarv",
        ),
        (
            {"p_rarv": [0.75, None], "p_rafv": [0.5, None], "p_farv": [0.1, None], "p_fafv": [0.1, None]},
            "do not add up",
        ),
        (
            {"id": ["a.mp4"] * 2, "start": [0] * 2, "end": [1] * 2, "score": [0.1, 0.2], "reason": [""] * 2},
            "scored twice",
        ),
    ],
)
def test_a_table_that_cannot_be_true_is_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        scores.write(table(**changes), tmp_path / "scores.parquet", METADATA)
    assert not list(tmp_path.iterdir())


def test_several_failed_clips_of_one_video_are_no_contradiction(tmp_path: Path) -> None:
    failed = {"start": [None] * 2, "end": [None] * 2, "score": [None] * 2, "reason": ["unreadable"] * 2}
    scores.write(table(id=["a.mp4"] * 2, **failed), tmp_path / "scores.parquet", METADATA)
    assert len(scores.read(tmp_path / "scores.parquet")[0]) == 2


def test_missing_columns_and_strange_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no column score"):
        scores.coerce(table().drop(columns="score"))
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(UserError, match="not a scores file of avbench"):
        scores.read(tmp_path / "other.parquet")
    with pytest.raises(UserError, match="cannot read the scores"):
        scores.read(tmp_path / "none.parquet")


def test_an_empty_table_keeps_its_schema(tmp_path: Path) -> None:
    scores.write(scores.empty(), tmp_path / "scores.parquet", {})
    assert scores.read(tmp_path / "scores.parquet")[0].equals(scores.empty())


SAMPLES = [
    Sample("001.mp4", Path("001.mp4"), Forgery.RARV, identity="ann"),
    Sample("002.mp4", Path("002.mp4"), Forgery.FARV, identity="bob", cluster="root7"),
]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_external_scores_join_the_test_list(tmp_path: Path, suffix: str) -> None:
    given = pd.DataFrame({"id": ["002.mp4", "001.mp4"], "score": [0.9, None], "reason": ["", "no_audio"]})
    path = tmp_path / f"theirs.{suffix}"
    given.to_csv(path, index=False) if suffix == "csv" else given.to_parquet(path)
    read = read_external(path, SAMPLES)
    assert read["id"].tolist() == ["001.mp4", "002.mp4"]
    assert read["forgery"].tolist() == read["clip_forgery"].tolist() == [0, 2]
    assert read["cluster"].tolist() == ["ann", "root7"]
    assert read["score"].isna().tolist() == [True, False] and read["reason"].tolist() == ["no_audio", ""]
    scores.write(read, tmp_path / "scores.parquet", {})


def test_external_logits_are_kept_and_must_be_those_of_the_scores(tmp_path: Path) -> None:
    samples = [Sample(id=name, path=Path(name), forgery=Forgery.RARV) for name in "ab"]
    (tmp_path / "s.csv").write_text("id,score,logit\na,1.0,60\nb,0.5,\n")
    assert read_external(tmp_path / "s.csv", samples)["logit"].fillna(-1).tolist() == [60, -1]
    (tmp_path / "s.csv").write_text("id,score,logit\na,1.0,60\nb,0.5,3\n")
    with pytest.raises(UserError, match=r"logit is not the log-odds of score: b"):
        read_external(tmp_path / "s.csv", samples)


def test_external_four_class_probabilities_give_the_score(tmp_path: Path) -> None:
    probabilities = dict(zip(scores.PROBABILITIES, ([0.7, 0.1], [0.1, 0.2], [0.1, 0.6], [0.1, 0.1]), strict=True))
    pd.DataFrame({"id": ["001.mp4", "002.mp4"], **probabilities}).to_csv(tmp_path / "x.csv", index=False)
    assert read_external(tmp_path / "x.csv", SAMPLES)["score"].tolist() == pytest.approx([0.3, 0.9])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,score\n001.mp4,0.1\n", "1 ids of the test list are missing: 002.mp4"),
        ("id,score\n001.mp4,0.1\n002.mp4,0.2\n003.mp4,0.2\n", "not in the test list: 003.mp4"),
        ("id,score\n001.mp4,0.1\n001.mp4,0.1\n002.mp4,0.2\n", "more than once: 001.mp4"),
        ("id,score\n001.mp4,0.1\n002.mp4,\n", "no finite score and no reason: 002.mp4"),
        ("id,score\n001.mp4,0.1\n002.mp4,inf\n", "no finite score and no reason: 002.mp4"),
        ("id,score\n001.mp4,0.1\n002.mp4,-3.2\n", r"not within \[0, 1\]: 002.mp4"),
        ("id,score\n001.mp4,0.1\n002.mp4,fake\n", "no number"),
        ("name,score\n001.mp4,0.1\n", "needs the columns id and score"),
        ("id,p_rarv\n001.mp4,0.1\n", "has p_rarv, but not p_rafv, p_farv, p_fafv"),
    ],
)
def test_external_scores_that_do_not_fit_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "theirs.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        read_external(tmp_path / "theirs.csv", SAMPLES)


def test_a_damaged_footer_is_read_or_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    scores.write(table(), path, METADATA)
    whole = path.read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    refused = 0
    for place in range(footer, len(whole), 37):  # which no checksum of a page covers
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        try:
            scores.read(path)
        except UserError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 10
