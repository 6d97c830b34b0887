"""Files of weights that would run code are refused before anything loads them; what torch writes passes."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path

import pytest

from avbench.errors import UserError
from avbench.plugins.weight_safety import require_safe


class Harm:
    def __reduce__(self) -> object:
        return os.system, ("false",)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("boxed", [False, True])
def test_what_would_run_code_is_refused(tmp_path: Path, protocol: int, boxed: bool) -> None:
    path, harm = tmp_path / "face_landmarker.task", pickle.dumps({"weights": Harm()}, protocol)
    if boxed:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", harm)
    else:
        path.write_bytes((pickle.dumps(1, protocol) if protocol > 1 else b"") + harm)  # as torch did, one after another
    with pytest.raises(UserError, match=r"landmarker_weights = .*system.* could run code"):
        require_safe(path, "landmarker_weights")


def test_tensors_and_what_is_no_pickle_pass(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    state = {"a.weight": torch.zeros(2, 3), "epoch": 3, "names": ["x"]}
    torch.save(state, tmp_path / "new.pt")
    torch.save(state, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "other.bin").write_bytes(b"not a pickle")
    for name in ("new.pt", "old.pt", "other.bin"):
        require_safe(tmp_path / name, "w")


@pytest.mark.parametrize("content", [b"\x80", b"\x80\x02cos", b"PK\x03\x04", b"", b"\x80\x05\x95"])
def test_damage_is_one_line_or_left_to_the_loader(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pt").write_bytes(content)
    try:
        require_safe(tmp_path / "w.pt", "w")
    except UserError as error:
        assert "\n" not in str(error)
