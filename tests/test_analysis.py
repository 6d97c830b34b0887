"""What analyses measure, on series and features whose values are known in closed form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from avbench.analysis import attention, tsne
from avbench.analysis.correlation import by_lag, cluster_mean, correlations, difference, intensity, table_of
from avbench.analysis.correlation_figure import draw_correlation, told
from avbench.errors import UserError

FRAMES = 25


def turning(step: float, frames: int = FRAMES) -> np.ndarray:
    """Return units (T,4) without mean whose pattern turns by `step` a frame, so that r of two frames is a cosine."""
    angle = step * np.arange(frames)
    return np.stack([np.cos(angle), np.sin(angle), -np.cos(angle), -np.sin(angle)], axis=1)


def test_a_constant_face_correlates_fully_whatever_its_strength() -> None:
    still = np.outer(np.linspace(1, 3, FRAMES), [0.5, 2.0, 4.0]) + 7  # stronger and stronger, the same pattern
    assert intensity(still) == pytest.approx(1, abs=1e-12)
    assert by_lag(still) == pytest.approx(np.ones(FRAMES - 1), abs=1e-12)


def test_a_sinusoid_correlates_as_the_cosine_of_the_lag() -> None:
    step = 2 * np.pi / 10
    series = turning(step)
    lags = np.arange(1, FRAMES)
    assert by_lag(series) == pytest.approx(np.cos(step * lags), abs=1e-12)
    pairs = FRAMES - lags  # so many pairs are that far apart
    assert intensity(series) == pytest.approx((pairs * np.cos(step * lags)).sum() / pairs.sum(), abs=1e-12)


def test_pearson_is_what_numpy_says() -> None:
    series = np.random.default_rng(0).random((7, 5))
    assert correlations(series) == pytest.approx(np.corrcoef(series), abs=1e-12)


def test_white_noise_does_not_correlate_and_a_shuffle_takes_the_order_alone() -> None:
    random = np.random.default_rng(1)
    noise = [intensity(random.standard_normal((FRAMES, 9))) for _ in range(200)]
    # r of two independent patterns of N units has mean 0 and variance 1 / (N - 1); pairs of frames are uncorrelated
    expected = np.sqrt(1 / 8 / (FRAMES * (FRAMES - 1) / 2))
    assert abs(np.mean(noise)) < 4 * expected / np.sqrt(200) and np.std(noise) == pytest.approx(expected, rel=0.2)
    smooth = turning(0.1)
    shuffled = smooth[random.permutation(FRAMES)]
    assert intensity(shuffled) == pytest.approx(intensity(smooth), abs=1e-12)
    assert by_lag(smooth)[0] == pytest.approx(np.cos(0.1)) and by_lag(shuffled)[0] < 0.8


def test_unknown_and_neutral_frames_are_left_out() -> None:
    series = turning(0.3)
    series[3] = np.nan
    series[5] = 2.0  # all units alike: no pattern
    known = np.delete(np.arange(FRAMES), [3, 5])
    i, j = np.triu_indices(len(known), 1)
    assert intensity(series) == pytest.approx(np.cos(0.3 * (known[j] - known[i])).mean(), abs=1e-12)
    assert np.isnan(intensity(np.zeros((4, 3)))) and np.isnan(by_lag(np.zeros((4, 3)))).all()
    with pytest.raises(ValueError, match="two or more"):
        intensity(np.zeros((4, 1)))


def test_intervals_resample_clusters_not_clips() -> None:
    random = np.random.default_rng(2)
    people = random.standard_normal(12)
    clusters = [f"p{k}" for k in range(12) for _ in range(10)]
    values = np.repeat(people, 10) + 0.01 * random.standard_normal(120)
    mean = cluster_mean(values, clusters)
    assert mean.value == pytest.approx(values.mean())
    width = float(mean.high - mean.low) / (2 * 1.96)
    assert width == pytest.approx(people.std() / np.sqrt(12), rel=0.1)  # ten times as many clips tell no more
    assert cluster_mean(values, clusters).low == mean.low
    paired = cluster_mean(values + 0.5, clusters)
    assert difference(paired, mean) == pytest.approx((0.5, 0.5, 0.5))  # the same people in every draw
    lags = cluster_mean(np.stack([values, np.full(120, np.nan)], axis=1)[:, :1], clusters)
    assert lags.low.shape == (1,) and lags.low[0] == pytest.approx(float(mean.low))


def clips(people: int = 6) -> pd.DataFrame:
    """Return a table in which pictures that are forged turn faster."""
    series, forgery, cluster = [], [], []
    for person in range(people):
        for label in range(4):
            series.append(turning(0.3 if label & 1 else 0.02 + 0.002 * person))
            forgery.append(label)
            cluster.append(f"p{person}")
    return table_of([str(k) for k in range(len(series))], cluster, np.array(forgery), series)


def test_the_figure_tells_real_from_fake_pictures(tmp_path: Path) -> None:
    table = clips()
    assert list(table["class"][:4]) == ["RARV", "RAFV", "FARV", "FAFV"] and "lag_24" in table and "lag_25" not in table
    real, fake = (
        table[table["class"].isin(names)]["intensity"].mean() for names in (["RARV", "FARV"], ["RAFV", "FAFV"])
    )
    assert real > 0.8 and told(table).startswith(f"real minus fake pictures: {real - fake:+.3f} [")
    paths = draw_correlation(table, "Correlation (demo data)", "synthetic", 25, tmp_path / "figure")
    assert [path.suffix for path in paths] == [".png", ".svg"]
    first = [path.read_bytes() for path in paths]
    draw_correlation(table, "Correlation (demo data)", "synthetic", 25, tmp_path / "figure")
    assert [path.read_bytes() for path in paths] == first  # the same table, the same bytes
    alone = table[table["class"] == "RARV"]
    assert told(alone) == "all clips have pictures real" and draw_correlation(alone, "", "", 25, tmp_path / "alone")


def test_tsne_keeps_clusters_and_is_fixed_by_its_seed(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    forgery = np.repeat(np.arange(4), 12)
    features = 10 * np.eye(4)[forgery] @ random.standard_normal((4, 30)) + random.standard_normal((48, 30))
    plane = tsne.embed(features, seed=1)
    assert plane.shape == (48, 2) and (plane == tsne.embed(features, seed=1)).all()
    silhouette, neighbours = tsne.separation(features, forgery)
    assert silhouette > 0.5 and neighbours == 1
    assert tsne.separation(plane, forgery)[1] == 1
    noise, chance = tsne.separation(random.standard_normal((400, 30)), np.tile(np.arange(4), 100))
    assert abs(noise) < 0.02 and 0.15 < chance < 0.35
    assert np.isnan(tsne.separation(features[:12], forgery[:12])).all()
    with pytest.raises(UserError, match="at least 8"):
        tsne.embed(features[:5])
    ids = [str(k) for k in range(48)]
    panels = [tsne.panel(t, ids, forgery, features, seed=0, perplexity=30) for t in ("with", "without")]
    assert panels[0].perplexity == 47 / 3, "lowered for 48 clips, and the figure says so"
    assert all(path.stat().st_size for path in tsne.draw_tsne(panels, "Clip features", "", tmp_path / "tsne"))


def test_attention_matrices_keep_rows_and_columns(tmp_path: Path) -> None:
    values = np.arange(2 * 9, dtype=np.float32).reshape(2, 3, 3)
    given = {"joint": values, "attention/video/audio": values, "attention/audio/audio": -values}
    matrices = attention.matrices_of(given, 1)
    assert list(matrices) == [("video", "audio"), ("audio", "audio")]
    table = attention.table_of(matrices)
    cell = table[(table["rows"] == "video") & (table["row"] == 2) & (table["column"] == 1)]
    assert list(cell["value"]) == [values[1, 2, 1]] and len(table) == 18
    pictures, sound = np.zeros((3, 3, 8, 8), np.uint8), np.sin(np.arange(1600))
    drawn = attention.draw_attention(
        matrices, pictures, sound, 0.12, tmp_path / "attention", heading="Attention", below=""
    )
    assert [path.suffix for path in drawn] == [".png", ".svg"]
