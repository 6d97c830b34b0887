"""No command ends with a traceback that nobody asked for, and none for want of a letter of the terminal."""

from __future__ import annotations

import argparse
import io
import logging
import sys
import threading
import types
from typing import Any

import pytest

from avbench import cli
from avbench.cli import main
from avbench.cli.ending import without_tracebacks
from avbench.cli.export_list import _require_letters
from avbench.cli.letters import plainly, write_any_letter
from avbench.errors import UserError
from avbench.records.style import saved_figure


def command(monkeypatch: pytest.MonkeyPatch, execute: Any, configure: Any = lambda parser: None) -> None:
    """Put a command called `trial` beside the others."""
    module = types.ModuleType("avbench.cli.trial")
    module.execute, module.configure = execute, configure  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "avbench.cli.trial", module)
    monkeypatch.setitem(cli.COMMANDS, "trial", "a trial")


ERRORS = [KeyError("width"), RuntimeError("two\nlines"), ZeroDivisionError(), RecursionError("deep"), MemoryError()]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_what_nobody_foresaw_is_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def execute(arguments: argparse.Namespace) -> int:
        raise error

    command(monkeypatch, execute)
    assert main(["trial"]) == 1
    (said,) = capsys.readouterr().err.strip().splitlines()
    if isinstance(error, MemoryError):
        assert "out of memory" in said and "--set micro_batch=1" in said
    else:
        assert said.startswith(f"avbench: error: {type(error).__name__} at ") and "test_last_handler.py:" in said
        assert said.endswith("please report it with what --traceback shows")
    with pytest.raises(type(error)):
        main(["trial", "--traceback"])


def test_a_command_that_cannot_be_set_up_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def configure(parser: argparse.ArgumentParser) -> None:
        raise AttributeError("no such option")

    command(monkeypatch, lambda arguments: 0, configure)
    assert main(["trial"]) == 1
    assert "AttributeError" in capsys.readouterr().err


def test_threads_and_log_records_keep_their_tracebacks_to_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = logging.StreamHandler(io.StringIO())
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])

    def fail() -> None:
        raise ValueError("of a thread")

    with without_tracebacks(shown=False):
        started = threading.Thread(target=fail)
        started.start()
        started.join()
        try:
            fail()
        except ValueError:
            logging.getLogger("other").exception("it failed")
    written = handler.stream.getvalue() + capsys.readouterr().err
    assert "ValueError: of a thread" in written and "it failed: ValueError" in written
    assert "Traceback" not in written


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_a_terminal_that_does_not_know_a_letter_is_given_another(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    write_any_letter()
    shown = "run ✗, 93.1 ± 2, A → B, Ωmega, mal\udcfcl"
    print(shown)
    sys.stdout.flush()
    text = written.getvalue().decode(encoding)
    assert "run x," in text and "A -> B" in text and "\\u03a9mega" in text and "mal\\udcfcl" in text
    assert ("93.1 +- 2" if encoding == "ascii" else "93.1 ± 2") in text


def test_a_list_with_other_letters_is_refused_and_not_rewritten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="cp1252"))
    _require_letters([("clips/née.mp4", "/data/clips/née.mp4", 0)])
    with pytest.raises(UserError, match="cp1252, does not know all letters of this row; use --out FILE"):
        _require_letters([("clips/Ω.mp4", "/data/clips/Ω.mp4", 0)])


def test_only_writing_is_mended() -> None:
    with pytest.raises(UnicodeDecodeError):
        plainly(UnicodeDecodeError("ascii", b"\xff", 0, 1, "no letter"))


@pytest.mark.parametrize("title", ["$x", "a $ b $ c", "$\\frac{$", "costs $5_000^{", "<b>&amp;", "née Ω"])
def test_a_title_is_no_formula(title: str, tmp_path: Any) -> None:
    with saved_figure(tmp_path / "titled", (3, 2)) as figure:
        axes = figure.subplots()
        axes.set_title(title)
        axes.plot([0, 1], label=title)
        axes.legend()
    assert (tmp_path / "titled.png").is_file()
    assert "$" not in title or "$" in (tmp_path / "titled.svg").read_text("utf-8")
