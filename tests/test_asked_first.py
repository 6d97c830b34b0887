"""What can never be is told before data are scanned or made; demo data never stand in silently beside real data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import avbench
from avbench.cli import main
from avbench.data import databases, lists
from avbench.errors import UserError
from avbench.plugins.registry import installed

PLUGIN = Path(__file__).with_name("failing_detectors.py")
SMALL = Path(__file__).with_name("small_detector.py")


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where data are scanned or made."""

    def fail(*arguments: Any, **named: Any) -> Any:
        pytest.fail("the data are read")

    monkeypatch.setattr(databases.Database, "samples", fail)
    monkeypatch.setattr(databases, "_made", fail)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("--detector majorit", "did you mean 'majority'"),
        ("--detector majority --device cuda:99", "--device cuda:99: "),
        ("--detector majority --device cpu:1", "--device cpu:1: use auto"),
        ("--detector majority --device tpu", "--device tpu: use auto"),
        ("--detector majority --preset large", "no preset of majority called 'large'"),
        ("--detector majority --set colour=1", "no setting of majority called 'colour'"),
        ("--detector majority --set epochs=many", "epochs=many"),
        ("--detector majority --task four_class", "majority cannot do four_class"),
        ("--detector mrdf --preset demo --set heads=7", "mrdf cannot be built of preset demo with heads=7"),
        ("--detector lipforensics_rawgat --set rawgat_st.colour=1", "no setting of rawgat_st called 'colour'"),
        ("--detector absent", "cannot load 'nowhere:Nothing'"),
        ("--detector buildraises --set clip.size=40", "__init__ raised KeyError"),
    ],
)
@pytest.mark.parametrize("data", ["", "--fold all", "--seed 0", "--data folder={tiny}"])
def test_a_run_that_can_never_be_reads_no_data(
    more: str, told: str, data: str, unread: None, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", *more.split(), *data.format(tiny=tiny).split(), "--plugin", str(PLUGIN)]
    words += ["--plugin", str(Path(__file__).with_name("absent_detector.py"))]
    words += ["--protocol", "within_folder" if "folder" in data else "within_lavdf"]
    assert main(words) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("avbench: error: ") and told in said


@pytest.mark.parametrize(
    "words",
    [
        "matrix --detector chance majority --protocol within_lavdf --set colour=1",
        "matrix --paper table1 --set colour=1",
        "perturb --detector chance majority --protocol perturb_fakeav --set colour=1",
    ],
)
def test_neither_do_many(words: str, unread: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) == 2
    assert "called 'colour'" in capsys.readouterr().err


def test_a_matrix_asks_for_its_device_first(unread: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "matrix --detector chance --protocol within_lavdf --seed 0 --jobs 1 --device cuda:99"
    assert main([*words.split(), "--out", str(tmp_path)]) == 2
    assert "--device cuda:99: " in capsys.readouterr().err


@pytest.mark.parametrize("name", ["mine", "mine.py", "{tmp}/mine"])
@pytest.mark.parametrize("command", ["run --protocol x --detector", "check", "perturb --detector", "weights --for"])
def test_a_file_called_like_an_unknown_detector_is_mentioned(
    name: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("", "utf-8")
    assert main([*command.split(), name.format(tmp=tmp_path)]) == 2
    assert "mine.py is at hand: --plugin " in capsys.readouterr().err


def test_a_file_that_is_loaded_is_not_mentioned_again(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["check", "--plugin", str(SMALL), str(SMALL.with_suffix(""))]
    assert main(words) == 2
    assert "at hand" not in capsys.readouterr().err


@pytest.mark.parametrize("protocol", ["cross_folder_to_lavdf", "cross_lavdf_to_folder", "within_lavdf"])
@pytest.mark.parametrize("command", ["run --detector chance --seed 0", "export-list", "audit"])
def test_demo_data_do_not_stand_in_beside_real_data(
    command: str, protocol: str, tiny: Path, unread: None, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--protocol", protocol] if command.startswith("run") else [protocol]
    assert main([*command.split(), *asked, "--data", f"folder={tiny}"]) == 2
    said = capsys.readouterr().err
    assert "--data gives real data of folder" in said and "--data lavdf=PATH" in said and "--allow-demo" in said


def test_they_do_where_that_is_allowed_and_beside_demo_data(demo_root: Path, tiny: Path) -> None:
    plugins, protocol = installed(), installed().protocol("cross_folder_to_lavdf")
    found = lists.prepare(protocol, plugins, {"folder": tiny}, allow_demo=True)
    assert found.train is not None and not found.train.demo and found.test.demo
    cross = plugins.protocol("cross_fakeav_to_lavdf")
    assert lists.prepare(cross, plugins, {"lavdf": demo_root / "LAV-DF"}).demo
    with pytest.raises(UserError, match="allow_demo=True in Python"):
        avbench.run("chance", "cross_folder_to_lavdf", data={"folder": tiny})
