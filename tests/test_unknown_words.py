"""Options that a command does not know: settings of the detector are shown with --set, others with the closest."""

from __future__ import annotations

from pathlib import Path

import pytest

from avbench.cli import main
from avbench.config import setting_names
from avbench.plugins.registry import installed

RUN = "run --detector chance --protocol within_folder"
FAU = "run --detector fauforensics --protocol within_lavdf"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (f"{RUN} --epochs 1", "--epochs is a setting of chance; use --set epochs=1"),
        (f"{RUN} --epochs=1 --lr 0.1", "use --set epochs=1 --set lr=0.1"),
        (f"{RUN} --micro-batch 2", "use --set micro_batch=2"),
        (f"{RUN} --clip.size 32", "use --set clip.size=32"),
        (f"{RUN} --threads 2", "use --set threads=2"),
        (f"{RUN} epochs=1", "use --set epochs=1"),
        (f"{RUN} --epoch 1", "did you mean --set epochs=1?"),
        (f"{RUN} --sed 1", "did you mean --seed?"),
        (f"{RUN} --zzz 1", "--zzz is nothing that avbench run knows; see avbench run --help"),
        (f"{FAU} --reproduce-bugs", "use --set reproduce_bugs=true"),
        (f"{FAU} --stage1.epochs=2", "use --set stage1.epochs=2"),
        ("matrix --detector chance aasist --protocol within_lavdf --batch 4", "--batch is a setting of chance; use"),
        ("run --detector lipforensics_rawgat --protocol within_lavdf --epochs 2", "use --set epochs=2"),
        ("audit within_lavdf --epochs 1", "--epochs is nothing that avbench audit knows"),
    ],
)
def test_an_unknown_option_says_how_it_is_set(words: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) == 2
    (said,) = capsys.readouterr().err.strip().splitlines()
    assert said.startswith("avbench: error: ") and told in said


def test_no_setting_is_taken_for_the_beginning_of_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    options = {word.strip(",") for word in capsys.readouterr().out.split() if word.startswith("--")}
    for spec in installed().detectors().values():
        for name in setting_names(spec):
            assert not any(option.startswith(f"--{name}") for option in options), f"{spec.name}: {name}"


def test_settings_of_a_plugin_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    plugin = Path(__file__).with_name("small_detector.py")
    assert main(["run", "--plugin", str(plugin), "--detector", "small", "--protocol", "x", "--weight_decay", "0"]) == 2
    assert "--weight_decay is a setting of small; use --set weight_decay=0" in capsys.readouterr().err
