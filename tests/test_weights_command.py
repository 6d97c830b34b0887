"""`avbench weights` and `--from-scratch` as a user meets them: told, fetched, checked, refused, marked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from avbench.cli import main
from avbench.plugins.registry import installed
from avbench.records.card import Card
from avbench.records.caveats import random_start
from avbench.records.runs import Runs
from avbench.report.html import html

PLUGIN = ["--plugin", str(Path(__file__).with_name("starting_detector.py"))]
Say = Callable[..., str]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module", autouse=True)
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Serve a folder with two files of weights, at the address that the plugin of these tests reads them from."""
    folder = tmp_path_factory.mktemp("host")
    for name in ("eyes-a", "eyes-b"):
        torch.save({"weight": torch.ones(2, 1), "bias": torch.zeros(2)}, folder / f"{name}.pt")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STARTING_HOST", f"http://127.0.0.1:{server.server_port}")
        yield folder
    server.shutdown()
    server.server_close()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AVBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], cache: Path) -> Say:
    """Return a function (words, expected code) -> what the command said."""

    def command(*words: str, code: int = 0) -> str:
        capsys.readouterr()
        assert main([*words, *PLUGIN]) == code
        out = capsys.readouterr()
        return out.err if code == 2 else out.out

    return command


def run_words(tiny: Path, out: Path, *more: str) -> list[str]:
    words = [
        "run",
        "--detector",
        "starting",
        "--protocol",
        "within_folder",
        "--task",
        "binary",
        "--workers",
        "0",
        "--device",
        "cpu",
        "--no-mlflow",
    ]
    return [*words, "--data", f"folder={tiny}", "--out", str(out), *more]


def only_card(out: Path) -> Card:
    newest = Runs(out).newest()
    assert newest is not None
    return newest.card


def test_the_table_tells_what_is_needed_found_and_missing(said: Say, cache: Path) -> None:
    shown = said("weights", "--for", "starting")
    assert "eyes-a" in shown and "or eyes-b" in shown and shown.count("missing") == 3 and "fetch --for" in shown
    said("weights", "fetch", "eyes-b")
    shown = said("weights", "--for", "starting")
    assert str(cache / "eyes-b.pt") in shown and "sha256 " in shown and shown.count("missing") == 2
    lean = said("weights", "--for", "starting", "--preset", "lean")
    assert "hearing" in lean and "random by design" in lean and "missing" not in lean
    assert "starting, official" in said("weights") and "plain, official" in said("weights")
    assert "eyes-a" in said("weights", "list") and "whisper-base" in said("weights", "list")
    assert "no detector or pre-training called" in said("weights", "--for", "startin", code=2)


@pytest.mark.parametrize("network", ["starting", "pair"])
def test_fetch_for_a_detector_or_an_ensemble_gets_all_and_tells_the_rest(said: Say, cache: Path, network: str) -> None:
    told = said("weights", "fetch", "--for", network, code=1)
    assert told.index("MiB") < told.index("downloading") and "MIT" in told and "CC0" in told
    assert (cache / "eyes-a.pt").is_file() and not (cache / "eyes-b.pt").exists(), "one of them will do"
    for part in ("https://drive.google.com/file/d/abc", "ears.zip", "take ears_1.pt", str(cache / "ears-drive.pth")):
        assert part in told
    torch.save({"weight": torch.ones(2, 1), "bias": torch.zeros(2)}, cache / "ears-drive.pth")
    assert "downloading" not in said("weights", "fetch", "--for", network)
    assert "needs no published weights" in said("weights", "fetch", "--for", "plain")
    assert "name weights" in said("weights", "fetch", code=2)


def test_a_host_that_is_not_there_is_one_line(
    said: Say, cache: Path, host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (host / "eyes-a.pt").rename(host / "away.pt")
    try:
        told = said("weights", "fetch", "eyes-a", code=2)
    finally:
        (host / "away.pt").rename(host / "eyes-a.pt")
    (host / "eyes-a.pt").rename(host / "away.pt")
    try:
        other = said("weights", "fetch", "--for", "starting", code=1)
    finally:
        (host / "away.pt").rename(host / "eyes-a.pt")
    assert "failed: eyes-a: cannot download" in other and (cache / "eyes-b.pt").is_file() and "ears.zip" in other
    (cache / "eyes-b.pt").unlink()
    (cache / "eyes-b.pt.sha256").unlink()
    assert "cannot download" in told and f"put it at {cache / 'eyes-a.pt'}" in told and not list(cache.glob("eyes*"))


def test_check_tells_what_a_file_is_and_what_does_not_fit(said: Say, host: Path, tmp_path: Path) -> None:
    file = host / "eyes-a.pt"
    told = said("weights", "check", str(file), "--for", "starting")
    assert "2 tensors of 4 numbers (weight, bias)" in told
    assert f"--set eyes_weights={file}: fits" in told and f"--set ears={file}: fits" in told
    assert f"--checkpoint {file} --task binary: no, 4 missing: eyes.weight" in told and "2 unexpected: weight" in told
    torch.save({"eyes.weight": torch.ones(2, 2), "more": torch.ones(1)}, tmp_path / "odd.pt")
    told = said("weights", "check", str(tmp_path / "odd.pt"), "--for", "starting", code=1)
    assert "1 other shape: eyes.weight (2, 2) instead of (2, 1)" in told and "fits" not in told
    assert "no such file" in said("weights", "check", str(tmp_path / "none.pt"), "--for", "starting", code=2)


def test_check_knows_a_published_file(said: Say, specs_root: Path) -> None:
    path = specs_root / "data" / "AASIST.pth"
    told = said("weights", "check", str(path), "--for", "aasist")
    assert "aasist (AASIST, ASVspoof 2019 LA)" in told and told.count(": fits") == 2
    told = said("weights", "check", str(path), "--for", "rawgat_st", code=1)
    assert "no, the weights do not fit" in told and "fits\n" not in told


def test_real_data_are_not_trained_on_without_the_weights(said: Say, cache: Path, tiny: Path, tmp_path: Path) -> None:
    told = said(*run_words(tiny, tmp_path / "out"), code=2)
    assert told.count("\n") == 1 and "eyes (eyes-a or eyes-b), hearing (ears-drive)" in told
    assert "avbench weights fetch --for starting" in told and "--from-scratch" in told
    assert not list((tmp_path / "out").glob("*/*")), "nothing was begun"
    told = said(*run_words(tiny, tmp_path / "out", "--detector", "pair"), code=2)
    assert "weights fetch --for starting" in told
    told = said(*run_words(tiny, tmp_path / "out", "--set", "use_ears=false"), code=2)
    assert "hearing" not in told
    said("weights", "fetch", "eyes-b")
    said(*run_words(tiny, tmp_path / "out", "--set", "use_ears=false"))
    card = only_card(tmp_path / "out")
    assert list(card.training.weights) == ["eyes_weights"] and not [c for c in card.caveats if "random" in c]


def test_a_random_start_marks_card_terminal_tables_and_pages(
    said: Say, cache: Path, tiny: Path, tmp_path: Path
) -> None:
    shown = said(*run_words(tiny, tmp_path / "all", "--from-scratch"))
    caveat = random_start(["eyes", "hearing"])
    assert caveat == "random start: eyes, hearing" and caveat in shown and "by design" not in shown
    card = only_card(tmp_path / "all")
    assert caveat in card.caveats and caveat in card.variant and card.request is not None and card.request.from_scratch
    assert caveat in html([card], tmp_path / "pages").read_text("utf-8")
    said("report", "--out", str(tmp_path / "all"), "--markdown", str(tmp_path / "runs.md"))
    assert caveat in (tmp_path / "runs.md").read_text("utf-8")
    said("weights", "fetch", "eyes-a")
    shown = said(*run_words(tiny, tmp_path / "ears", "--set", "ears=random"))
    assert "random start: hearing" in shown, "marked, though it is the user's word"
    weights = next((tmp_path / "all" / "trainings").glob("*/weights.safetensors"))
    shown = said(*run_words(tiny, tmp_path / "judged", "--checkpoint", str(weights)))
    judged = only_card(tmp_path / "judged")
    assert caveat in judged.caveats and judged.training.weights == {}, "weights tell of their own training"
    shown = said(*run_words(tiny, tmp_path / "pair", "--detector", "pair", "--from-scratch"))
    assert "random start: starting eyes, starting hearing" in shown


def test_a_sweep_of_a_run_from_scratch_finds_its_training(said: Say, tiny: Path, tmp_path: Path) -> None:
    said(*run_words(tiny, tmp_path, "--from-scratch"))
    run = only_card(tmp_path).id
    sweep = ["perturb", "--run", run, "--types", "jpeg", "--levels", "0", "5", "--out", str(tmp_path), "--workers", "0"]
    assert "used again" in said(*sweep, "--device", "cpu", "--no-mlflow")


@pytest.mark.slow
def test_a_start_that_is_meant_to_be_random_is_told_once(said: Say, tiny: Path, tmp_path: Path) -> None:
    shown = said(*run_words(tiny, tmp_path, "--preset", "demo", "--seed", "0", "1"))
    line = "random start by design: starting, preset demo (eyes, hearing)"
    assert shown.count("by design") == 1 and line in shown and "random start: " not in shown
    words = ["matrix", *run_words(tiny, tmp_path, "--preset", "demo", "--seed", "0", "1")[1:]]
    shown = said(*words)
    assert shown.count("by design") == 1 and line in shown


@pytest.mark.slow
def test_a_matrix_marks_its_rows(said: Say, cache: Path, tiny: Path, tmp_path: Path) -> None:
    words = ["matrix", *run_words(tiny, tmp_path, "--detector", "starting", "plain", "--from-scratch")[1:]]
    shown = said(*words)
    assert shown.count("· Matrix") <= 1 and "* random start, where the recipe" in shown
    assert "Starting (eyes, hearing)" in shown


def test_pretrainings_say_what_they_start_from(said: Say) -> None:
    assert "resnet50-imagenet" in said("weights", "--for", "graphau")
    assert "swin-base-imagenet" in said("weights", "--for", "graphau", "--set", "backbone=swin_base")
    assert installed().pretrainings()["graphau"].weights
