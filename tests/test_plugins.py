"""Plugins: found one by one, a broken one stops nobody, clashes name both sides, importing one stays light."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from avbench import hookspecs
from avbench.errors import UserError
from avbench.hookspecs import hookimpl
from avbench.plugins.registry import Plugins, Source, installed, register_named
from avbench.references import load_object
from avbench.types import DetectorSpec

PLUGIN = """
from avbench.hookspecs import hookimpl
from avbench.types import DetectorSpec

@hookimpl
def avbench_detectors():
    yield DetectorSpec(name="{name}", load=f"{{__name__}}:X")
"""


def _write(folder: Path, text: str, name: str = "mine.py") -> str:
    path = folder / name
    path.write_text(text, "utf-8")
    return str(path)


def test_named_file_is_registered_and_its_class_can_be_loaded(tmp_path: Path) -> None:
    plugins = Plugins()
    plugins.load_named(_write(tmp_path, PLUGIN.format(name="mine") + "\nclass X: pass\n"))
    spec = plugins.detector("mine")
    assert load_object(spec.load, "detector mine").__name__ == "X"
    assert plugins.source_of("avbench_detectors", DetectorSpec, "mine").origin.startswith("file ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import no_such_module_here", "no_such_module_here"),
        (
            "from avbench.hookspecs import hookimpl\n@hookimpl\ndef avbench_detektors():\n    yield 1\n",
            "avbench_detektors",
        ),
        (
            "from avbench.hookspecs import hookimpl\n@hookimpl\ndef avbench_detectors(nonsense):\n    yield 1\n",
            "nonsense",
        ),
        ("def broken(:", "SyntaxError"),
        ("def avbench_detectors():\n    yield 1\n", "mark its functions with @hookimpl"),
    ],
)
def test_broken_named_plugin_is_an_error_and_leaves_nothing_behind(tmp_path: Path, text: str, message: str) -> None:
    plugins = Plugins()
    with pytest.raises(UserError, match=message):
        plugins.load_named(_write(tmp_path, text))
    assert not plugins.sources and not plugins.manager.get_plugins()


def test_missing_file_is_an_error() -> None:
    with pytest.raises(UserError, match="no such file"):
        Plugins().load_named("nowhere/none.py")


def test_clash_names_both_sides(tmp_path: Path) -> None:
    plugins = Plugins()
    plugins.load_named(_write(tmp_path, PLUGIN.format(name="twice"), "first.py"))
    plugins.load_named(_write(tmp_path, PLUGIN.format(name="twice"), "second.py"))
    with pytest.raises(UserError, match=r"second.*first.*'twice'|first.*second.*'twice'"):
        plugins.detectors()


def test_wrong_type_from_an_installed_plugin_is_a_warning_that_names_it(caplog: pytest.LogCaptureFixture) -> None:
    class Wrong:
        @hookimpl
        def avbench_detectors(self) -> object:
            yield "not a spec"

    plugins = Plugins()
    plugins._register(Wrong(), Source("wrong", "somebody 1.0"))
    with caplog.at_level(logging.WARNING):
        assert plugins.detectors() == {}
    assert "somebody 1.0" in caplog.text and "DetectorSpec" in caplog.text


def test_broken_observer_is_logged_and_the_next_one_still_told(caplog: pytest.LogCaptureFixture) -> None:
    told: list[int] = []

    class Broken:
        @hookimpl
        def avbench_epoch_ended(self, epoch: int) -> None:
            raise RuntimeError("no paper")

    class Fine:
        @hookimpl
        def avbench_epoch_ended(self, epoch: int) -> None:
            told.append(epoch)

    plugins = Plugins()
    plugins._register(Fine(), Source("fine", "somebody 1.0"))
    plugins._register(Broken(), Source("broken", "somebody 2.0"))
    plugins.notify("avbench_epoch_ended", card={}, epoch=3, values={})
    assert told == [3] and "no paper" in caplog.text


def test_typo_names_the_closest() -> None:
    with pytest.raises(UserError, match="did you mean 'fauforensics'"):
        installed().detector("fauforensic")


def test_registering_twice_is_harmless(tmp_path: Path) -> None:
    path = _write(tmp_path, PLUGIN.format(name="only_once"), "only_once_plugin.py")
    register_named([path])
    register_named([str(Path(path).resolve())])
    assert "only_once" in installed().detectors()


def test_importing_every_built_in_plugin_needs_nothing_heavy() -> None:
    modules = [p.value for p in entry_points(group="avbench") if p.dist and p.dist.name == "avbench"]
    assert len(modules) >= 6
    code = "import sys\n" + "\n".join(f"import {m}" for m in modules)
    code += "\nprint(sorted({'torch','pandas','sklearn','mlflow','matplotlib','decord','av','cv2'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert found == "[]"


def test_every_hook_is_documented_with_an_example() -> None:
    hooks = [name for name in vars(hookspecs) if name.startswith("avbench_")]
    assert len(hooks) == 12
    for name in hooks:
        text = getattr(hookspecs, name).__doc__
        assert "Example::" in text and f"def {name}(" in text


def test_a_named_plugin_overrides_an_installed_one_with_a_note(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Installed:
        @hookimpl
        def avbench_detectors(self) -> Iterable[DetectorSpec]:
            yield DetectorSpec("mine", "old:X", "as installed")
            yield DetectorSpec("other", "old:Y")

    plugins = Plugins()
    plugins._register(Installed(), Source("mine", "mine 1.5"))
    plugins.load_named(_write(tmp_path, PLUGIN.format(name="mine"), "work.py"))
    with caplog.at_level(logging.WARNING):
        found = plugins.detectors()
    assert list(found) == ["mine", "other"] and found["mine"].load == "avbench_file_work:X"
    assert plugins.source_of("avbench_detectors", DetectorSpec, "mine").named
    assert len(caplog.records) == 1 and "work.py" in caplog.text and "mine 1.5" in caplog.text


def test_two_installed_plugins_still_clash() -> None:
    plugins = Plugins()
    for version in ("1.0", "2.0"):

        class Installed:
            @hookimpl
            def avbench_detectors(self) -> Iterable[DetectorSpec]:
                yield DetectorSpec("mine", "x:Y")

        plugins._register(Installed(), Source("mine", f"somebody {version}"))
    with pytest.raises(UserError, match=r"somebody 2\.0.*somebody 1\.0.*'mine'"):
        plugins.detectors()


def test_naming_an_installed_module_is_harmless(caplog: pytest.LogCaptureFixture) -> None:
    plugins = Plugins()
    plugins.load_installed()
    before = plugins.detectors()
    plugins.load_named("avbench_lipforensics.plugin")
    assert plugins.detectors() == before and plugins.named == ["avbench_lipforensics.plugin"]
    assert "installed and loaded already" in caplog.text


def test_a_protocol_of_a_plugin_with_a_wrong_value_is_refused(tmp_path: Path) -> None:
    text = """
from avbench.hookspecs import hookimpl
from avbench.types import Protocol

@hookimpl
def avbench_protocols():
    yield Protocol("mine", 1, "lavdf", "lavdf", test_on="al")
"""
    plugins = Plugins()
    plugins.load_named(_write(tmp_path, text))
    with pytest.raises(UserError, match="protocol mine: test_on: no value called 'al'; did you mean 'all'"):
        plugins.protocols()
