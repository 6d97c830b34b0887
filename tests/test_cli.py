"""The command line: quick to answer, one-line errors with exit code 2, the written detector works three ways."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from avbench.cli import COMMANDS, main

ROOT = Path(__file__).resolve().parents[1]


def test_help_names_every_command_and_imports_nothing_heavy(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in COMMANDS) and "examples:" in shown
    code = "import sys\nfrom avbench.cli import main\ntry: main(['ls'])\nexcept SystemExit: pass\n"
    heavy = {"torch", "pandas", "sklearn", "mlflow", "matplotlib", "av", "numpy"}
    code += f"print('HEAVY', sorted({heavy} & set(sys.modules)))"
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "HEAVY []" in listed and "fauforensics" in listed and "within_lavdf" in listed and "auc" in listed


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0 and "--plugin" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "--detector", "fauforensic", "--protocol", "within_lavdf"], "did you mean 'fauforensics'"),
        (["run", "--detector", "fauforensics", "--protocol", "within_lavd"], "did you mean 'within_lavdf'"),
        (["run", "--detector", "fauforensics", "--protocol", "within_lavdf", "--data", "nowhere"], "does not exist"),
        (["run", "--detector", "fauforensics", "--protocol", "within_lavdf", "--data", "{tmp}"], "no LAV-DF/"),
        (["run", "--detector", "fauforensics", "--protocol", "within_lavdf", "--data", "lavdff={tmp}"], "'lavdf'"),
        (["run", "--detector", "fauforensics", "--protocol", "within_lavdf", "--checkpoint", "no.pt"], "no such file"),
        (
            ["run", "--detector", "fauforensics", "--protocol", "within_lavdf", "--workers", "-1"],
            "use a whole number, 0 to 512",
        ),
        (
            ["run", "--detector", "fauforensics", "--protocol", "within_lavdf", "--seed", "0", "-1"],
            "use a whole number, 0 to",
        ),
        (["check", "nothing"], "no detector, dataset, metric, perturbation or protocol called"),
        (["run", "--plugin", "{tmp}/no.py", "--detector", "x", "--protocol", "y"], "no such file"),
        (["report"], "avbench run makes one"),
        (["new", "detector", "No Name"], "no name for a detector"),
        (["weights", "fetch", "whisper-bas"], "did you mean 'whisper-base'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word.format(tmp=tmp_path) for word in words]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("avbench: error: ") and message in error


def test_a_broken_metadata_row_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "LAV-DF"
    folder.mkdir()
    (folder / "metadata.min.json").write_text('[{"file": "train/000001.mp4", "n_fakes": 0}]', "utf-8")
    words = ["run", "--detector", "fauforensics", "--protocol", "within_lavdf", "--data", str(tmp_path)]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "metadata.min.json" in error and "row 1" in error.lower().replace("row 0", "row 1")


def test_new_detector_keeps_the_contract_and_the_docs_show_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "detector", "mine"]) == 0
    written = (tmp_path / "mine.py").read_text("utf-8")
    assert main(["check", "--plugin", "mine.py", "mine"]) == 0
    assert "all promises kept" in capsys.readouterr().out
    shown = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "add-a-detector.md").read_text("utf-8"), re.S)
    assert shown and shown[1].strip() == written.split('"""', 2)[2].strip()
    assert main(["new", "detector", "mine"]) == 2


def installed(folder: Path, name: str, version: str, module: str) -> None:
    """Leave what pip leaves of a distribution that gives one plugin."""
    about = folder / f"{name}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "utf-8")
    (about / "entry_points.txt").write_text(f"[avbench]\n{name} = {module}\n", "utf-8")


def test_an_installed_detector_works_and_a_broken_one_is_a_warning_that_names_it(tmp_path: Path) -> None:
    assert main(["new", "detector", "mine", "--out", str(tmp_path / "mine.py")]) == 0
    installed(tmp_path, "mine", "1.5", "mine")
    installed(tmp_path, "sorry", "2.0", "no_such_module_of_sorry")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    for words, shown in ((["ls", "detectors"], "mine 1.5"), (["check", "mine"], "all promises kept")):
        done = subprocess.run(
            [sys.executable, "-m", "avbench", *words], capture_output=True, text=True, env=environment, cwd=tmp_path
        )
        assert done.returncode == 0 and shown in done.stdout
        warnings = done.stderr.strip().splitlines()
        assert len(warnings) == 1, done.stderr
        assert "sorry 2.0" in warnings[0] and "no_such_module_of_sorry" in warnings[0]


def test_check_finds_a_broken_promise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "leaky.py"
    assert main(["new", "detector", "leaky", "--out", str(path)]) == 0
    text = path.read_text("utf-8").replace("motion = ", "motion = batch.video.float().mean() * 0.01 + ")
    path.write_text(text, "utf-8")
    assert main(["check", "--plugin", str(path), "leaky"]) == 1
    assert "BROKEN binary: ignores batch mates" in capsys.readouterr().out


@pytest.mark.slow
def test_the_wheel_holds_the_protocols_and_the_plugins(tmp_path: Path) -> None:
    import zipfile

    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", str(tmp_path), str(ROOT)], check=True
    )
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    for name in (
        "avbench/protocols/within_lavdf.yaml",
        "avbench_lavdf/plugin.py",
        "avbench_backbones/csn.py",
        "avbench_demo/make.py",
        "avbench/py.typed",
        "avbench/cli/templates/detector_full.py.template",
        "avbench/cli/templates/protocol.yaml.template",
    ):
        assert name in names
    assert not any(name.startswith(("tests/", "datasets/", "detectors/")) for name in names)
