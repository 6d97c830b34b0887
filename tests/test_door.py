"""The Python door: the runs of the command line, tables of what they left, nothing heavy before it is used."""

from __future__ import annotations

import importlib.util
import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

import avbench
from avbench.cli import main
from avbench.detector import Detector
from avbench.door import asking
from avbench.plugins.registry import Plugins, Source, installed
from avbench.protocol import Protocol
from avbench.types import DetectorSpec

PLUGIN = Path(__file__).with_name("small_detector.py")
# What the plugin's preset says, as settings of the default preset that a class gets.
RECIPE = {"clip.frames": 10, "clip.size": 32, "batch": 8, "micro_batch": 4, "lr": 0.05}
Cli = tuple[Path, Path]


@pytest.fixture(scope="module")
def cli(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """Run the small detector from the command line; return the results folder and the run's."""
    out = tmp_path_factory.mktemp("cli")
    words = ["run", "--detector", "small", "--protocol", "within_folder", "--task", "binary", "--set", "epochs=2"]
    words += ["--plugin", str(PLUGIN), "--data", f"folder={tiny}", "--out", str(out), "--workers", "0"]
    assert main([*words, "--placement", "oracle", "sliding"]) == 0
    (folder,) = (out / "runs").iterdir()
    return out, folder


@pytest.fixture(scope="module")
def asked(tiny: Path) -> dict[str, Any]:
    """Return the same in the door's words."""
    variant = {"placements": ["oracle", "sliding"]}
    return {"task": "binary", "data": {"folder": tiny}, "variant": variant, "settings": {"epochs": 2}, "workers": 0}


@pytest.fixture
def of_classes(tmp_path: Path) -> Iterator[ModuleType]:
    """Return a module with the small detector as a class that no plugin declares; forget it afterwards."""
    path = tmp_path / "of_classes.py"
    path.write_text(PLUGIN.read_text("utf-8").replace("class Small", "class OwnNet").partition("@hookimpl")[0], "utf-8")
    spec = importlib.util.spec_from_file_location("of_classes", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["of_classes"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["of_classes"]


def test_by_name_it_is_the_run_of_the_command_line(cli: Cli, asked: dict[str, Any], tmp_path: Path) -> None:
    avbench.register(PLUGIN)
    run = avbench.run("small", "within_folder", results=tmp_path, **asked)
    assert run.folder.name == cli[1].name and run.folder.parent.parent == tmp_path
    assert (run.folder / "scores.parquet").read_bytes() == (cli[1] / "scores.parquet").read_bytes()
    before = (cli[1] / "card.json").stat().st_mtime_ns
    said: list[str] = []
    again = avbench.run("small", installed().protocol("within_folder"), results=cli[0], say=said.append, **asked)
    assert again.id == run.id and any("finished before" in line for line in said)
    assert (cli[1] / "card.json").stat().st_mtime_ns == before


def test_by_spec_and_by_class_it_is_registered_for_this_process(
    cli: Cli, asked: dict[str, Any], of_classes: ModuleType, tmp_path: Path, tiny: Path
) -> None:
    expected = pd.read_parquet(cli[1] / "scores.parquet")["score"]
    spec = replace(installed().detector("small"), name="small_by_spec")
    by_spec = avbench.run(spec, "within_folder", results=tmp_path, **asked)
    assert by_spec.id.startswith("small_by_spec-") and by_spec.scores["score"].equals(expected)
    assert "declared as" in by_spec.card.detector.source

    settings = {**RECIPE, **asked["settings"]}
    by_class = avbench.run(of_classes.OwnNet, "within_folder", results=tmp_path, **{**asked, "settings": settings})
    assert by_class.id.startswith("own_net-") and by_class.scores["score"].equals(expected)
    assert main(["ls", "detectors"]) == 0 and "own_net" in installed().detectors()


def test_a_class_that_changed_is_another_version_and_takes_the_name(of_classes: ModuleType, tmp_path: Path) -> None:
    plugins = Plugins()
    plugins.load_installed()
    assert asking.detector_named(of_classes.OwnNet, plugins) == "own_net"
    first = plugins.detector("own_net")
    assert asking.detector_named(of_classes.OwnNet, plugins) == "own_net" and plugins.detector("own_net") is first
    path = Path(str(of_classes.__file__))
    path.write_text(path.read_text("utf-8").replace("Dropout(0.1)", "Dropout(0.25)"), "utf-8")
    of_classes.__loader__.exec_module(of_classes)  # type: ignore[union-attr]
    assert asking.detector_named(of_classes.OwnNet, plugins) == "own_net"
    second = plugins.detector("own_net")
    assert second.version != first.version and second == replace(first, version=second.version)


def test_what_is_no_detector_is_told_and_leaves_no_trace(of_classes: ModuleType) -> None:
    class Inner(Detector):
        pass

    plugins = Plugins()
    plugins.load_installed()
    taken = DetectorSpec("fauforensics", load="of_classes:OwnNet")
    for wrong, said in (
        (Inner, "define it at a module's top"),
        (int, "is no detector"),
        (taken, "gives another detector 'fauforensics'"),
        (replace(taken, name="My Net"), "is no name"),
        ("fauforensic", "did you mean 'fauforensics'"),
    ):
        with pytest.raises(avbench.UserError, match=said):
            asking.detector_named(wrong, plugins)  # type: ignore[arg-type]
    assert plugins.detector("fauforensics").load != taken.load and not plugins.declared
    assert asking.detector_named(plugins.detector("fauforensics"), plugins) == "fauforensics" and not plugins.declared


def test_a_protocol_is_a_name_a_value_or_a_file_in_a_variant(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nversion: 3\ntrain: folder\ntest: folder\n", "utf-8")
    assert asking.protocol_of(path, installed(), None) == Protocol("mine", 3, "folder", "folder")
    strict = asking.protocol_of("within_folder", installed(), {"strict_identity": True, "placements": ["labelled"]})
    assert strict.strict_identity and strict.placements == ("oracle",)
    for variant, said in (
        ({"strict": True}, "did you mean 'strict_identity'"),
        ({"test": "lavdf"}, "variant of a protocol"),
        ({"select_on": "tset"}, "did you mean 'test'"),
        ({"strict_identity": "no"}, "not true or false"),
        ({"fold": 0}, "0 is below 1"),
        ({"placements": ["oracel"]}, "did you mean 'oracle'"),
    ):
        with pytest.raises(avbench.UserError, match=said):
            asking.protocol_of("within_folder", installed(), variant)


def test_settings_and_data_are_those_of_the_command_line(tiny: Path) -> None:
    settings = {"epochs": 5, "use_fau": False, "lr": 1e-4, "mode": "both", "micro_batch": None}
    said = ("epochs=5", "use_fau=false", "lr=0.0001", "mode=both", "micro_batch=none")
    assert asking.overrides_of(settings) == said
    with pytest.raises(avbench.UserError, match="is no text"):
        asking.overrides_of({"epochs": [1, 2]})  # type: ignore[dict-item]
    assert asking.roots_of(str(tiny)) == {"": tiny} and asking.roots_of(None) == {}
    with pytest.raises(avbench.UserError, match="nowhere does not exist"):
        asking.roots_of({"folder": tiny / "nowhere"})


def test_a_run_gives_tables_of_what_it_left(cli: Cli) -> None:
    run = avbench.runs(cli[0]).one("small-within_folder")
    assert run.folder == cli[1] and run.finished and "few clusters" in run.card.caveats
    assert run.scores.equals(pd.read_parquet(cli[1] / "scores.parquet")) and len(run.scores) == 48
    metrics = run.metrics
    assert list(metrics) == ["placement", "granularity", "metric", "value", "low", "high", "n"]
    (auc,) = metrics.query("placement == 'oracle' and granularity == 'video' and metric == 'auc'").itertuples()
    entry = run.card.metrics["oracle"]["video"]["auc"]
    assert (auc.value, (auc.low, auc.high), auc.n) == (entry.value, entry.ci95, 12)
    assert len(metrics) == sum(len(m) for p in run.card.metrics.values() for m in p.values())
    counts = run.confusion["oracle", "video"]
    assert counts.loc["real"].sum() == 3 and counts.loc["fake"].sum() == 9 and list(counts) == ["real", "fake"]
    assert run.figures["roc_oracle_video"].is_file() and run.figures["training"].with_suffix(".svg").is_file()
    assert run.id in repr(run) and "Small" in repr(run)


def test_runs_are_found_by_the_beginning_of_their_id(cli: Cli, tmp_path: Path) -> None:
    found = avbench.runs(cli[0])
    assert len(found) == 1 and found[0].id == cli[1].name and [run.id for run in found] == [cli[1].name]
    assert found.one(str(cli[1])).id == cli[1].name and found[:1][0].id == cli[1].name
    for name, said in (("large", "no run called 'large'"), ("", "no run called ''")):
        with pytest.raises(avbench.UserError, match=said):
            found.one(name)
    unfinished = tmp_path / "runs" / "small-unfinished"
    unfinished.mkdir(parents=True)
    card = (cli[1] / "card.json").read_text("utf-8").replace('"finished"', '"running"')
    (unfinished / "card.json").write_text(card, "utf-8")
    running = avbench.runs(tmp_path)[0]
    for ask in (lambda: running.metrics, lambda: running.scores, lambda: avbench.perturb(running)):
        with pytest.raises(avbench.UserError, match="this run is running"):
            ask()


def test_a_run_is_swept_and_compared_with_another(cli: Cli, asked: dict[str, Any]) -> None:
    run = avbench.runs(cli[0])[0]
    swept = avbench.perturb(run, types=["jpeg"], levels=[0, 5], placements=["oracle"], workers=0)
    assert swept.folder.parent == run.folder.parent and swept.card.training.id == run.card.training.id
    assert swept.scores.groupby("level").size().to_dict() == {0: 12, 5: 12} and "robustness" in swept.figures
    words = ["perturb", "--run", run.id, "--types", "jpeg", "--levels", "0", "5", "--placement", "oracle"]
    before = (swept.folder / "card.json").stat().st_mtime_ns
    assert main([*words, "--out", str(cli[0]), "--workers", "0"]) == 0
    assert (swept.folder / "card.json").stat().st_mtime_ns == before, "the command finds the sweep of the door"

    found = avbench.compare(run, swept.folder)
    assert list(found.differences) == ["metric", "a", "b", "difference", "low", "high", "n", "verdict"]
    assert (found.differences["difference"] == 0).all() and set(found.differences["verdict"]) == {"a tie"}
    assert "protocol.name" in set(found.settings["setting"])
    assert "Paired comparison" in str(found) and "12 videos that both scored" in str(found)


@pytest.mark.slow
def test_a_matrix_logs_to_mlflow_and_tells_what_failed(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    monkeypatch.setenv("AVBENCH_MLFLOW", "on")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    avbench.register(PLUGIN)
    asked: dict[str, Any] = {"tasks": ["binary"], "data": {"folder": tiny}, "settings": {"epochs": 1}, "workers": 0}
    for jobs, out in ((1, tmp_path / "one"), (2, tmp_path / "two")):
        outcomes = avbench.matrix(["small", "majority"], ["within_folder"], jobs=jobs, results=out, **asked)
        assert [outcome.reason for outcome in outcomes] == ["", ""] and all(outcome.new for outcome in outcomes)
        client = MlflowClient(tracking_uri=f"sqlite:///{out / 'mlflow.db'}")
        logged = client.search_runs([client.get_experiment_by_name("avbench").experiment_id])
        names = {run.data.tags["mlflow.runName"]: run for run in logged}
        for outcome in outcomes:
            assert outcome.run is not None
            run = names.pop(outcome.run.id)
            auc = outcome.run.metrics.query("metric == 'auc' and placement == 'oracle'")["value"].iloc[0]
            assert run.data.metrics["oracle/video/auc"] == pytest.approx(auc) and run.info.status == "FINISHED"
            assert "figures" in {item.path for item in client.list_artifacts(run.info.run_id)}
        assert set(names) == {"matrix-small-majority-within_folder"}
    silent = avbench.matrix(["majority"], ["within_folder"], mlflow=False, results=tmp_path / "three", **asked)
    assert silent[0].run is not None and not (tmp_path / "three" / "mlflow.db").exists()
    (failed,) = avbench.matrix(["majority"], ["within_folder"], results=tmp_path, **{**asked, "data": None})
    assert failed.run is None and "--data" in failed.reason
    with pytest.raises(avbench.UserError, match="no task called 'bianry'"):
        avbench.matrix(["majority"], ["within_folder"], **{**asked, "tasks": ["bianry"]})


def test_a_class_of_the_running_program_is_no_detector_of_another_process(
    of_classes: ModuleType, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins = Plugins()
    plugins.load_installed()
    plugins.declare(DetectorSpec("main_net", load="__main__:OwnNet"))
    monkeypatch.setattr("avbench.door.running.installed", lambda: plugins)
    with pytest.raises(avbench.UserError, match=r"put it into a module of its own, or use jobs=1"):
        avbench.matrix(["main_net"], ["within_folder"], data={"folder": tiny}, jobs=2, results=tmp_path)


def test_an_audit_is_that_of_the_command(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = avbench.audit("within_folder", data={"folder": tiny}, resamples=20, workers=0)
    words = ["audit", "within_folder", "--data", f"folder={tiny}", "--resamples", "20", "--workers", "0"]
    assert main([*words, "--out", str(tmp_path)]) in (0, 1)
    printed = capsys.readouterr().out
    assert found.verdicts and all(verdict.evidence[:20] in printed for verdict in found.verdicts[:3])


def test_import_is_quick_and_brings_nothing_heavy() -> None:
    code = (
        "import time; began = time.process_time(); import avbench; spent = time.process_time() - began\n"
        "import sys; heavy = {'torch', 'pandas', 'numpy', 'pluggy', 'mlflow', 'av', 'yaml'} & set(sys.modules)\n"
        "names = dir(avbench)\n"
        "avbench.runs('nowhere'); later = {'torch', 'pandas', 'mlflow'} & set(sys.modules)\n"
        "print(spent); print(heavy, later, 'run' in names)"
    )
    seconds = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        spent, rest = done.stdout.splitlines()
        assert rest == "set() set() True"
        seconds.append(float(spent))
    assert min(seconds) < 0.1


def test_the_door_is_whole_and_no_module_stands_in_it() -> None:
    import avbench.auditing.report
    import avbench.perturbations.conditions

    for name in avbench.__all__:
        found = getattr(avbench, name)
        assert callable(found) and found.__module__.startswith("avbench."), name
        assert inspect.getdoc(found), name
    for name in ("run", "perturb", "matrix", "compare", "audit"):
        about = inspect.getdoc(getattr(avbench, name)) or ""
        for parameter in inspect.signature(getattr(avbench, name)).parameters:
            assert f"    {parameter}: " in about, f"{name} does not tell of {parameter}"
        assert "UserError:" in about and ">>> " in about
    with pytest.raises(AttributeError, match="no attribute 'score_everything'"):
        _ = avbench.score_everything
    assert avbench.__version__


def test_observers_are_called_in_the_order_they_ask_for() -> None:
    from avbench.hookspecs import hookimpl

    called: list[str] = []

    def observer(name: str, **order: bool) -> Any:
        class Observer:
            @hookimpl(**order)
            def avbench_run_started(self, card: dict[str, Any]) -> None:
                called.append(name)

        return Observer()

    plugins = Plugins()
    for name, order in (("z", {"trylast": True}), ("b", {}), ("a", {}), ("figures", {"tryfirst": True})):
        plugins._register(observer(name, **order), Source(name, "this test"))
    notify: Callable[..., None] = plugins.notify
    notify("avbench_run_started", card={}, folder=Path())
    assert called == ["figures", "b", "a", "z"]
    called.clear()
    notify("avbench_run_started", leaving_out={"b", "z"}, card={}, folder=Path())
    notify("avbench_run_started", only={"z"}, card={}, folder=Path())
    assert called == ["figures", "a", "z"]
