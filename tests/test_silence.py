"""Leading silence: measured to the sample, dropped from placement, labels, pictures, sound; named in the card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from avbench.cli import main
from avbench.data.batches import load_clip
from avbench.data.placement import sliding
from avbench.data.requests import ClipRequest
from avbench.data.silence import LOUD, RATE, first_loud, leading_silence, trimmed_away, without_start
from avbench.records.card import Card
from avbench.types import ClipSpec, Forgery, Sample

SILENT = 6_400  # samples, 0.4 s
BOTH = frozenset({"video", "audio"})


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a lossless file of two seconds: frame k has brightness 4 k, sound begins after 0.4 s."""
    path = tmp_path_factory.mktemp("silence") / "late.mkv"
    with av.open(str(path), "w") as file:
        pictures, heard = file.add_stream("ffv1", rate=25), file.add_stream("pcm_s16le", rate=RATE, layout="mono")
        pictures.width = pictures.height = 32
        pictures.pix_fmt = "yuv420p"
        for k in range(50):
            shown = av.VideoFrame.from_ndarray(np.full((32, 32), 4 * k, np.uint8), format="gray")
            file.mux(pictures.encode(shown.reformat(format="yuv420p", src_color_range="JPEG", dst_color_range="JPEG")))
        file.mux(pictures.encode())
        sound = np.full(2 * RATE, 3000, np.int16)
        sound[:SILENT] = 0
        block = av.AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
        block.sample_rate = RATE
        file.mux(heard.encode(block))
        file.mux(heard.encode())
    return path


def test_the_threshold_is_an_amplitude_of_either_sign() -> None:
    sound = np.zeros(100, np.float32)
    assert first_loud(sound) is None
    sound[10], sound[20] = LOUD, -2 * LOUD
    assert first_loud(sound) == 20, "above, not at"


def test_what_is_dropped_is_a_frame_more_than_is_silent() -> None:
    """Smeu et al.: of s > 0 seconds int(25 s) + 1 frames; nothing of a sound that begins at once."""
    assert [trimmed_away(s) for s in (None, 0.0, 0.001, 0.04, 0.1, 0.4)] == pytest.approx(
        [0, 0, 0.04, 0.08, 0.12, 0.44]
    )


def test_silence_is_measured_to_the_sample(video: Path) -> None:
    assert leading_silence(video)["seconds"] == SILENT / RATE


def test_times_of_forgeries_and_length_move_along(video: Path) -> None:
    sample = Sample("a", video, Forgery.RAFV, fake_periods=((0.1, 0.3), (0.4, 1.0)), fps=25.0, frames=50)
    moved = without_start(sample, 0.44)
    assert moved is not None and moved.skip == 0.44 and moved.frames == 39
    assert moved.fake_periods == ((0.0, pytest.approx(0.56)),), "the first lies in what is dropped"
    silent_only = Sample("b", video, Forgery.RAFV, fake_periods=((0.1, 0.3),), fps=25.0, frames=50)
    assert without_start(silent_only, 0.44) is None and without_start(sample, 0.0) is sample


def test_clips_come_from_behind_the_silence(video: Path) -> None:
    spec = ClipSpec(frames=10, size=32)
    sample = without_start(Sample("a", video, Forgery.RARV, fps=25.0, frames=50), trimmed_away(SILENT / RATE))
    assert sample is not None
    requests = sliding([sample], spec)
    assert [request.start for request in requests] == pytest.approx([0.0, 0.4, 0.8, 1.16]), "over 39 frames"
    first, last = (load_clip(request, spec, BOTH) for request in (requests[0], requests[-1]))
    whole = load_clip(
        ClipRequest(Sample("b", video, Forgery.RARV), Forgery.RARV, start=0.0), ClipSpec(50, size=32), BOTH
    )
    assert np.array_equal(first.frames, whole.frames[11:21]), "frame 11 is the first that is left"
    assert np.array_equal(last.frames, whole.frames[40:50]), "and the last is the file's last"
    assert np.abs(first.sound[:100]).min() > 0.05, "it begins with sound"


@pytest.mark.slow
def test_a_run_says_that_it_was_trimmed_and_is_another_run(
    small_run: Callable[..., tuple[Card, Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, _ = small_run(tmp_path, "--set", "epochs=1")
    trimmed, folder = small_run(tmp_path, "--set", "epochs=1", "--trim-silence")
    assert trimmed.id != plain.id and trimmed.training.id != plain.training.id
    caveats = set(trimmed.variant) - set(plain.variant)
    assert len(caveats) == 1 and "silence" in caveats.pop()
    assert any("leading silence trimmed" in note for note in trimmed.data.notes)
    assert json.loads((folder / "card.json").read_text("utf-8"))["protocol"]["trim_silence"] is True
    assert main(["compare", trimmed.id, plain.id, "--out", str(tmp_path)]) == 0
    assert "protocol.trim_silence" in capsys.readouterr().out
    shutil.rmtree(folder)
