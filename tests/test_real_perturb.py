"""The paper's sweep and its Figure 5 on real faces."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import pytest

from avbench.cli import main
from avbench.records.card import Card
from avbench.records.measured import CommonVideos

PLUGIN = str(Path(__file__).with_name("small_detector.py"))
SIX = ["video_compression", "jpeg_df10", "contrast", "gaussian_blur", "gaussian_noise", "saturation"]


@pytest.mark.slow
def test_all_six_types_at_five_levels_run_on_real_faces(real_root: Path, tmp_path: Path) -> None:
    words = ["perturb", "--plugin", PLUGIN, "--detector", "small", "--protocol", "perturb_fakeav", "--no-mlflow"]
    assert main([*words, "--data", str(real_root), "--limit", "8", "--set", "epochs=1", "--out", str(tmp_path)]) == 0
    found = Card.load(next((tmp_path / "runs").iterdir())).perturbations
    assert list(found.types) == SIX and found.videos == CommonVideos(8, 0)
    for name in SIX:
        strengths = [found.types[name].levels[level].strength for level in range(1, 6)]
        assert all(s.clips == 8 and s.unchanged == 0 for s in strengths)
        psnr = [s.psnr for s in strengths]
        assert psnr == sorted(psnr, reverse=True) and 8 < psnr[-1] < psnr[0] < 45, name
    kbps = [found.types["video_compression"].levels[level].strength.kbps for level in range(1, 6)]
    assert kbps == sorted(kbps, reverse=True) and kbps[-1] > 3


@pytest.mark.slow
def test_contact_sheet_of_a_real_face(real_root: Path, tmp_path: Path) -> None:
    video = sorted((real_root / "FakeAVCeleb_v1.2" / "RealVideo-RealAudio").rglob("*.mp4"))[0]
    assert main(["perturb", "--export", str(video), "--out", str(tmp_path)]) == 0
    assert len(list(tmp_path.glob("*.mp4"))) == 30
    height, width = matplotlib.image.imread(tmp_path / f"{video.stem}-contact-sheet.png").shape[:2]
    assert 1000 < width < height
