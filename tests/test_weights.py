"""Weights come from the cache, a file or nowhere; a download is checked, and a changed file is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from avbench.config import Weights
from avbench.errors import UserError
from avbench.hashing import sha256
from avbench.plugins import weights
from avbench.types import DetectorSpec, WeightSpec


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DetectorSpec:
    monkeypatch.setenv("AVBENCH_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "published.pt"
    source.write_bytes(b"weights")
    known = hashlib.sha256(b"weights").hexdigest()
    published = WeightSpec("some", "some_weights", "Some", source.as_uri(), "MIT", known)
    return DetectorSpec(name="example", load="x:Y", weights=(published,))


def test_auto_is_random_until_fetched_and_then_the_file(spec: DetectorSpec) -> None:
    assert weights.choose(spec, {"some_weights": "auto"}) == {"some_weights": Weights()}
    with pytest.raises(UserError, match="avbench weights fetch some"):
        weights.choose(spec, {"some_weights": "some"})
    seen: list[tuple[int, int]] = []
    path = weights.fetch(spec.weights[0], lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == b"weights" and seen[-1] == (7, 7)
    chosen = weights.choose(spec, {"some_weights": "auto"})["some_weights"]
    assert chosen == Weights(path, spec.weights[0].sha256)
    path.write_bytes(b"tampered")
    with pytest.raises(UserError, match="has changed"):
        weights.choose(spec, {"some_weights": "some"})


def test_wrong_checksum_leaves_nothing(spec: DetectorSpec) -> None:
    from dataclasses import replace

    wrong = replace(spec.weights[0], sha256="0" * 64)
    with pytest.raises(UserError, match="expected 0000"):
        weights.fetch(wrong)
    assert weights.cached(wrong) is None


def test_files_are_taken_and_missing_ones_named(spec: DetectorSpec, tmp_path: Path) -> None:
    file = tmp_path / "own.pt"
    file.write_bytes(b"own")
    assert weights.choose(spec, {"some_weights": str(file)})["some_weights"].path == file
    with pytest.raises(UserError, match="no such file"):
        weights.choose(spec, {"some_weights": str(tmp_path / "none.pt")})


def test_weights_that_ship_are_chosen_by_name_alone_and_held_to_their_checksum(spec: DetectorSpec) -> None:
    from dataclasses import replace

    file = Path(weights.__file__)
    shipped = WeightSpec("own", "some_weights", "Own", "", "Apache-2.0", sha256(file), "avbench.plugins:weights.py")
    both = replace(spec, weights=(shipped, *spec.weights))
    assert weights.choose(both, {"some_weights": "own"})["some_weights"] == Weights(file, shipped.sha256)
    assert weights.fetch(shipped) == file, "nothing is downloaded"
    for word in ("auto", "random", "none"):
        assert weights.choose(both, {"some_weights": word}) == {"some_weights": Weights()}, word
    altered = replace(spec, weights=(replace(shipped, sha256="0" * 64),))
    with pytest.raises(UserError, match="install the package again"):
        weights.choose(altered, {"some_weights": "own"})


def test_drive_files_are_for_the_hand() -> None:
    with pytest.raises(UserError, match="by hand"):
        weights.fetch(WeightSpec("d", "w", "D", "https://drive.google.com/file/d/x", "MIT"))
