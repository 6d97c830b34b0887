"""Weights come from the cache, a file or nowhere; what a preset needs is refused when missing, marked when random."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from avbench.config import Config, Weights, resolve
from avbench.errors import UserError
from avbench.hashing import sha256
from avbench.plugins import weight_files, weights
from avbench.plugins.registry import installed
from avbench.types import DetectorSpec, Preset, Setting, WeightSpec


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DetectorSpec:
    monkeypatch.setenv("AVBENCH_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "published.pt"
    source.write_bytes(b"weights")
    known = hashlib.sha256(b"weights").hexdigest()
    published = WeightSpec("some", "some_weights", "Some", source.as_uri(), "MIT", known)
    return detector(published, some_weights="auto")


def detector(*published: WeightSpec, **settings: Setting) -> DetectorSpec:
    return DetectorSpec(name="example", load="x:Y", presets=(Preset("official", settings=settings),), weights=published)


def config(spec: DetectorSpec, **settings: Setting) -> Config:
    return resolve(spec, "binary", overrides=[f"{name}={value}" for name, value in settings.items()])


def choose(
    spec: DetectorSpec, settings: Mapping[str, Setting] | None = None, *, demo: bool = False, from_scratch: bool = False
) -> dict[str, Weights]:
    return weights.choose(spec, config(spec, **(settings or {})), demo=demo, from_scratch=from_scratch)


NEEDED = {"some_weights": Weights(part="some", needed=True)}


def test_auto_is_refused_until_fetched_and_then_the_file(spec: DetectorSpec) -> None:
    with pytest.raises(UserError) as error:
        choose(spec)
    assert str(error.value) == (
        "example, preset official, starts from weights that are not here: some (some); run avbench weights fetch --for "
        "example, or start at random by --from-scratch, which card and tables tell"
    )
    with pytest.raises(UserError, match="avbench weights fetch some"):
        choose(spec, {"some_weights": "some"})
    seen: list[tuple[int, int]] = []
    path = weight_files.fetch(spec.weights[0], lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == b"weights" and seen[-1] == (7, 7)
    chosen = choose(spec)["some_weights"]
    assert chosen == Weights(path, spec.weights[0].sha256, part="some", needed=True)
    path.write_bytes(b"tampered")
    for value in ("auto", "some"):
        with pytest.raises(UserError, match=r"sha256 is .*, that of some is .*fetch some"):
            choose(spec, {"some_weights": value})


def test_a_random_start_against_the_recipe_is_known_whatever_way_it_came(spec: DetectorSpec) -> None:
    weight_files.fetch(spec.weights[0])
    assert choose(spec, from_scratch=True) == NEEDED, "whatever is in the cache"
    assert choose(spec, {"some_weights": "random"}) == choose(spec, {"some_weights": "none"}) == NEEDED
    weight_files.place(spec.weights[0]).unlink()
    assert choose(spec, demo=True) == NEEDED
    assert replace(config(spec), weights=NEEDED).random_start == ("some",)
    by_design = detector(*spec.weights, some_weights="random")
    meant = choose(by_design)
    assert meant == {"some_weights": Weights(part="some")}
    assert replace(config(by_design), weights=meant).random_start == ()
    with pytest.raises(UserError, match=r"not here: some \(some\)"):
        choose(by_design, {"some_weights": "auto"})


def test_from_scratch_leaves_files_that_are_named(spec: DetectorSpec, tmp_path: Path) -> None:
    (tmp_path / "own.pt").write_bytes(b"own")
    chosen = choose(spec, {"some_weights": str(tmp_path / "own.pt")}, from_scratch=True)
    assert chosen["some_weights"].path == tmp_path / "own.pt"


def test_parts_that_are_switched_off_need_nothing_and_files_that_do_not_fit_are_left(spec: DetectorSpec) -> None:
    (some,) = spec.weights
    small = replace(some, name="small", when={"use": True}, fits={"width": 8})
    large = replace(some, name="large", when={"use": True}, fits={"width": 64})
    asked = detector(large, small, some_weights="auto", use=True, width=64)
    assert choose(asked, {"use": False}) == {}
    weight_files.fetch(small)
    with pytest.raises(UserError, match=r"not here: some \(large\)"):
        choose(asked)
    assert choose(asked, {"width": 8})["some_weights"].path == weight_files.place(small)
    with pytest.raises(UserError, match=r"none published fits these settings: --set some_weights=FILE"):
        choose(asked, {"width": 9})
    weight_files.fetch(large)
    assert choose(asked)["some_weights"].path == weight_files.place(large)


def test_either_of_several_will_do_the_first_before_the_others(spec: DetectorSpec) -> None:
    (some,) = spec.weights
    both = detector(replace(some, name="best"), replace(some, name="other"), some_weights="auto")
    with pytest.raises(UserError, match=r"some \(best or other\)"):
        choose(both)
    for name in ("other", "best"):
        path = weight_files.fetch(replace(some, name=name))
        assert choose(both)["some_weights"].path == path


def test_what_has_no_random_weights_is_refused_on_demo_data_too(spec: DetectorSpec) -> None:
    never = detector(replace(spec.weights[0], random=False), some_weights="auto")
    for demo in (False, True):
        with pytest.raises(UserError, match="not here") as error:
            choose(never, demo=demo, from_scratch=True)
        assert "--from-scratch" not in str(error.value)
    path = weight_files.fetch(never.weights[0])
    assert choose(never, from_scratch=True)["some_weights"].path == path


def test_wrong_checksum_leaves_nothing(spec: DetectorSpec) -> None:
    wrong = replace(spec.weights[0], sha256="0" * 64)
    with pytest.raises(UserError, match="expected 0000"):
        weight_files.fetch(wrong)
    assert weight_files.cached(wrong) is None


def test_the_beginning_of_a_checksum_is_held(spec: DetectorSpec) -> None:
    (some,) = spec.weights
    assert weight_files.fetch(replace(some, name="right", sha256=some.sha256[:16])).is_file()
    with pytest.raises(UserError, match=r"expected 0123456789abcdef\.\.\."):
        weight_files.fetch(replace(some, name="wrong", sha256="0123456789abcdef"))


def test_files_are_taken_and_missing_ones_named(spec: DetectorSpec, tmp_path: Path) -> None:
    file = tmp_path / "own.pt"
    file.write_bytes(b"own")
    assert choose(spec, {"some_weights": str(file)})["some_weights"].path == file
    with pytest.raises(UserError, match="no such file"):
        choose(spec, {"some_weights": str(tmp_path / "none.pt")})


@pytest.mark.parametrize("where", ["cache", "elsewhere"])
def test_a_file_that_changed_since_its_first_use_is_refused(spec: DetectorSpec, tmp_path: Path, where: str) -> None:
    unpublished = replace(spec.weights[0], sha256="")
    asked = detector(unpublished, some_weights="auto")
    path = weight_files.place(unpublished) if where == "cache" else tmp_path / "own.pt"
    settings = {} if where == "cache" else {"some_weights": str(path)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"placed by hand")
    assert weight_files.recorded(path) == ""
    first = choose(asked, settings)
    assert weight_files.recorded(path) == sha256(path) == first["some_weights"].sha256
    assert choose(asked, settings) == first
    path.write_bytes(b"another one")
    with pytest.raises(UserError, match=r"has changed since it was first used .* or remove (\S+)") as error:
        choose(asked, settings)
    note = Path(str(error.value).partition("or remove ")[2].partition(" if")[0])
    assert note.is_relative_to(tmp_path / "cache" / "weights")
    note.unlink()
    assert choose(asked, settings)["some_weights"].sha256 == sha256(path)


def test_a_cache_that_cannot_be_written_is_no_obstacle(
    spec: DetectorSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "own.pt").write_bytes(b"own")
    (tmp_path / "blocked").write_bytes(b"a file where the cache should be")
    monkeypatch.setenv("AVBENCH_CACHE", str(tmp_path / "blocked"))
    assert choose(spec, {"some_weights": str(tmp_path / "own.pt")})["some_weights"].path
    assert "cannot be recorded" in caplog.text


def test_weights_that_ship_are_chosen_by_name_alone_and_held_to_their_checksum(spec: DetectorSpec) -> None:
    file = Path(weights.__file__)
    shipped = WeightSpec("own", "some_weights", "Own", "", "Apache-2.0", sha256(file), "avbench.plugins:weights.py")
    both = replace(spec, weights=(shipped, *spec.weights))
    assert choose(both, {"some_weights": "own"})["some_weights"].path == file
    assert weight_files.fetch(shipped) == file, "nothing is downloaded"
    with pytest.raises(UserError, match=r"some \(some\)"):  # "auto" is never what ships
        choose(both)
    named = detector(shipped, some_weights="own")
    assert choose(named)["some_weights"].needed and choose(named, from_scratch=True) == NEEDED
    altered = replace(spec, weights=(replace(shipped, sha256="0" * 64),))
    with pytest.raises(UserError, match="install the package again"):
        choose(altered, {"some_weights": "own"})


def test_drive_files_are_for_the_hand(spec: DetectorSpec) -> None:
    url = "https://drive.google.com/file/d/x"
    drive = WeightSpec("d", "w", "D", url, "MIT", file="d.zip", by_hand="Unpack it and take d_1.pth")
    place = weight_files.place(drive)
    with pytest.raises(UserError) as error:
        weight_files.fetch(drive)
    assert str(error.value) == (
        f"d cannot be downloaded by a program: open {url} and save d.zip. Unpack it and take d_1.pth. Put it at "
        f"{place}, or give it by --set w=FILE. It is checked: names and shapes must be the network's; its sha256 is "
        "recorded at first use and compared ever after."
    )
    assert place.name == "d.pth"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"d_1.pth")
    assert choose(detector(drive, w="auto"))["w"].path == place


NETWORKS = {
    (spec.name, preset.name): (spec, preset)
    for spec in (
        *installed().detectors().values(),
        *(pretraining.network for pretraining in installed().pretrainings().values()),
    )
    for preset in spec.presets
    if preset.name != "demo" and not spec.members
}
# What each published recipe starts from; all others train from scratch.
STARTS_FROM = {
    ("fauforensics", "official"): ["whisper", "csn", "fau"],
    ("fauforensics", "paper"): ["whisper", "csn", "fau"],
    ("lipforensics", "official"): ["lip reader"],
    ("realforensics", "official"): ["backbone"],
    ("sslas", "official"): ["encoder"],
    ("graphau", "official"): ["backbone"],
}


@pytest.mark.parametrize(("name", "preset"), NETWORKS)
def test_every_recipe_for_real_data_starts_as_published_or_refuses(
    name: str, preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVBENCH_CACHE", str(tmp_path))
    spec, _ = NETWORKS[name, preset]
    resolved = resolve(spec, spec.tasks[0], preset=preset)
    expected = STARTS_FROM.get((name, preset), [])
    assert [start.part for start in weights.starts(spec, resolved) if start.needed] == expected
    if expected:
        with pytest.raises(UserError, match=f"weights fetch --for {name}") as error:
            weights.choose(spec, resolved)
        assert ("--preset paper" in str(error.value)) == (preset == "paper")
    scratch = replace(resolved, weights=weights.choose(spec, resolved, from_scratch=True))
    assert list(scratch.random_start) == expected


@pytest.mark.parametrize(
    ("name", "changes", "parts"),
    [
        ("fauforensics", ["use_fau=false"], ["whisper", "csn"]),
        ("fauforensics", ["use_ffl=false"], ["whisper", "csn"]),
        ("fauforensics", ["use_audio=false"], ["csn", "fau"]),
        ("fauforensics", ["use_video=false"], ["whisper", "fau"]),
        ("fauforensics", ["fau_encoder=blendshapes"], ["whisper", "csn", "landmarker"]),
        ("fauforensics", ["fau_encoder=my.module:Encoder"], ["whisper", "csn"]),
        ("graphau", ["backbone=swin_base"], ["backbone"]),
        ("graphau", ["graphau_weights=auto"], ["graphau"]),
    ],
)
def test_ablations_need_less(name: str, changes: list[str], parts: list[str]) -> None:
    spec, _ = NETWORKS[name, "official"]
    resolved = resolve(spec, "binary", preset="official", overrides=changes)
    assert [start.part for start in weights.starts(spec, resolved) if start.needed] == parts


def test_published_files_at_hand_are_the_ones_declared(specs_root: Path, weights_root: Path) -> None:
    known = {w.name: w for spec in installed().detectors().values() for w in spec.weights}
    at_hand = {
        "rawgat-st-mul": specs_root / "data" / "RawGAT_ST_mul.pth",
        "aasist": specs_root / "data" / "AASIST.pth",
        "mediapipe-face-landmarker": weights_root / "face_landmarker.task",
    }
    for name, path in at_hand.items():
        assert (sha256(path), path.stat().st_size) == (known[name].sha256, known[name].size), name
