"""Protocols: families come with datasets, YAML fixes details, the digest holds what shapes a result."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from avbench import protocol as protocols
from avbench.bench.card import published_of
from avbench.cli import main
from avbench.errors import UserError
from avbench.paths import shipped
from avbench.plugins.registry import installed
from avbench.protocol import find, known, read
from avbench.types import DatasetSpec, Protocol


def test_installing_a_dataset_gives_its_protocols() -> None:
    datasets = {name: DatasetSpec(name=name, title=name, scan="x:y") for name in ("lavdf", "mine")}
    names = set(known(datasets))
    assert {"within_mine", "cross_mine_to_lavdf", "cross_lavdf_to_mine", "within_lavdf"} <= names


def test_the_four_shipped_protocols_carry_the_paper() -> None:
    protocols = known(installed().datasets())
    found = protocols["cross_lavdf_to_fakeav"]
    assert (found.train, found.test, found.version, found.select_on) == ("lavdf", "fakeav", 1, "validation")
    printed = published_of(found, "fauforensics", "binary")
    assert printed["auc"] == 0.8377  # arXiv 2505.08294, Table III
    assert published_of(protocols["within_fakeav"], "fauforensics", "four_class") == {"acc": 0.9947, "auc": 0.9997}
    assert len(list(shipped("protocols").glob("*.yaml"))) == 4


def test_digest_ignores_titles_only() -> None:
    one = Protocol("p", 1, "a", "b")
    assert replace(one, title="t").digest() == one.digest()
    for change in (
        {"version": 2},
        {"fold": 2},
        {"strict_identity": True},
        {"test_on": "all"},
        {"placements": ("sliding",)},
    ):
        assert replace(one, **change).digest() != one.digest()  # type: ignore[arg-type]


def test_broken_yaml_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text("name: odd\nversion: 1\ntrian: lavdf\n", "utf-8")
    with pytest.raises(UserError, match=r"odd\.yaml.*trian"):
        read(path)


DATASETS = {name: DatasetSpec(name=name, title=name, scan="x:y") for name in ("lavdf", "fakeav", "mine")}


@pytest.fixture(autouse=True)
def told_anew() -> Iterator[None]:
    """Let every test hear what is said once a process."""
    protocols._warn_once.cache_clear()
    yield


def written(folder: Path, text: str, name: str = "strict.yaml") -> Path:
    """Write a protocol's file."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(text.encode("latin-1"))
    return folder / name


STRICT = "name: strict\nversion: 1\ntrain: mine\ntest: mine\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("strict_identiy: true", "no field called 'strict_identiy'; did you mean 'strict_identity'"),
        ("strict_identity: sure", "strict_identity: 'sure' is not true or false"),
        ("fold: '2'", "fold: '2' is not a whole number"),
        ("fold: true", "fold: True is not a whole number"),
        ("fold: 0", "fold: 0 is below 1"),
        ("version: 1.5", "version: 1.5 is not a whole number"),
        ("title: 7", "title: 7 is not a text"),
        ("test_on: al", "test_on: no value called 'al'; did you mean 'all'"),
        ("select_on: [test]", "select_on: no value called"),
        ("placements: oracle", r"placements: 'oracle' is no list; write \[oracle\]"),
        ("placements: [oracel]", "placements: no value called 'oracel'; did you mean 'oracle'"),
        ("placements: [oracle, labelled]", "placements: the same one twice"),
        ("perturbations: [jpeg]", "perturbations and levels belong together"),
        ("perturbations: [jpeg]\nlevels: [0, 6]", "levels: 6 is none"),
        ("name: Strict One", "name: 'Strict One' is none"),
        ("title: f\xe4lschung", "not UTF-8"),
        ("title: [", "not a protocol: ParserError"),
        ("- fold", "not a protocol"),
        ("2: 3", "no field called '2'"),
    ],
)
def test_a_wrong_value_is_one_line(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(UserError, match=rf"strict\.yaml: not a protocol.*{message}|strict\.yaml: {message}") as error:
        read(written(tmp_path, f"{STRICT}{line}\n"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "missing"), [("", "give fields"), ("name: x\ntrain: mine\n", "no version and no test")]
)
def test_a_file_without_what_every_protocol_needs(tmp_path: Path, text: str, missing: str) -> None:
    with pytest.raises(UserError, match=missing):
        read(written(tmp_path, text))


def test_files_of_the_current_folder_are_found_by_name_and_one_by_its_path(tmp_path: Path) -> None:
    path = written(tmp_path, f"{STRICT}strict_identity: true\nplacements: [sweep, labelled]\n")
    wanted = Protocol("strict", 1, "mine", "mine", placements=("sliding", "oracle"), strict_identity=True)
    assert known(DATASETS, folder=tmp_path)["strict"] == wanted
    assert find("strict", DATASETS, folder=tmp_path) == wanted
    assert find(str(path), DATASETS, folder=tmp_path / "none") == wanted
    with pytest.raises(UserError, match=r"did you mean 'strict'"):
        find("stricd", DATASETS, folder=tmp_path)
    with pytest.raises(UserError, match=r"no\.yaml: not a protocol: FileNotFoundError"):
        find("no.yaml", DATASETS)


def test_former_placements_are_understood_with_a_note(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read(written(tmp_path, f"{STRICT}placements: [labelled]\n")).placements == ("oracle",)
    assert "strict.yaml: placement labelled is called oracle now" in caplog.text


def test_a_broken_file_is_a_warning_until_it_is_asked_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    written(tmp_path, "name: [", "broken.yaml")
    written(tmp_path, STRICT)
    with caplog.at_level(logging.WARNING):
        assert "strict" in known(DATASETS, folder=tmp_path)
    assert len(caplog.records) == 1 and "broken.yaml" in caplog.text and "left out" in caplog.text
    with pytest.raises(UserError, match=r"broken\.yaml: not a protocol"):
        find("broken", DATASETS, folder=tmp_path)


def test_a_name_and_version_never_mean_two_things(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    changed = "name: within_lavdf\ntrain: lavdf\ntest: lavdf\nfold: 2\n"
    path = written(tmp_path, f"{changed}version: 1\n")
    with pytest.raises(UserError, match="within_lavdf, version 1, is something else already"):
        find(str(path), DATASETS)
    assert known(DATASETS, folder=tmp_path)["within_lavdf"].fold == 1 and "left out" in caplog.text
    written(tmp_path, f"{changed}version: 2\n")
    assert known(DATASETS, folder=tmp_path)["within_lavdf"].fold == 2 and "version 2 of within_lavdf" in caplog.text
    with pytest.raises(UserError, match="within_lavdf, version 2, is something else already"):
        find(str(path), DATASETS, [Protocol("within_lavdf", 2, "lavdf", "fakeav")])
    family = written(tmp_path, "name: within_mine\nversion: 1\ntrain: mine\ntest: mine\nfold: 2\n", "family.yaml")
    assert find(str(family), DATASETS).fold == 2  # nobody but the dataset gave it a meaning


def test_an_unknown_dataset_is_named_when_the_protocol_is_used(tmp_path: Path) -> None:
    written(tmp_path, STRICT.replace("test: mine", "test: lavd"))
    assert "strict" in known(DATASETS, folder=tmp_path)
    with pytest.raises(UserError, match=r"protocol strict, test: no dataset called 'lavd'; did you mean 'lavdf'"):
        find("strict", DATASETS, folder=tmp_path)


def test_commands_list_and_take_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "protocols", "\xff\xfe", "broken.yaml")
    written(tmp_path / "protocols", STRICT.replace("mine", "folder"))
    assert main(["ls", "protocols"]) == 0
    assert "strict" in capsys.readouterr().out
    words = ["--data", "nowhere", "--no-mlflow"]
    for command in (
        ["run", "--detector", "majority", "--protocol"],
        ["matrix", "--detector", "majority", "--protocol"],
        ["perturb", "--detector", "majority", "--protocol"],
        ["evaluate", "--scores", "none.csv", "--protocol"],
        ["export-list"],
        ["audit"],
    ):
        for name in ("strict", "protocols/strict.yaml"):
            more = words if "--protocol" in command and command[0] != "evaluate" else words[:2]
            assert main([*command, name, *more]) == 2
            error = capsys.readouterr().err.splitlines()[-1]
            assert "nowhere" in error or "none.csv" in error, error
        assert main([*command, "protocols/broken.yaml", *more[2:]]) == 2
        assert "broken.yaml: not a protocol: it is not UTF-8" in capsys.readouterr().err.splitlines()[-1]
