"""Conditions: names and levels resolved with clear errors, randomness from its key alone, contracts kept."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest

from avbench.errors import UserError
from avbench.perturbations.conditions import Condition, choose, perturb_frames, perturb_picture, perturb_sound
from avbench.plugins.registry import installed
from avbench.types import Context, PerturbationSpec

LEVELS = (1.0, 2.0, 3.0, 4.0, 5.0)


def shrinks(picture: np.ndarray, parameter: float, context: Context) -> np.ndarray:
    return picture[1:]


def drops(frames: object, parameter: float, context: Context) -> object:
    return list(frames)[1:]  # type: ignore[call-overload]


def broken(load: str, stream: str, *, whole: bool = False) -> Condition:
    return Condition(PerturbationSpec("broken", "", f"{__name__}:{load}", stream, LEVELS, whole), 1)  # type: ignore[arg-type]


def test_sets_types_and_levels_are_resolved_in_order() -> None:
    known = installed().perturbations()
    chosen = choose(["saturation", "paper"], [0, 5, 3, 3], known)
    assert chosen[0] is None and [(c.name, c.level) for c in chosen[1:3] if c] == [("saturation", 3), ("saturation", 5)]
    assert len(chosen) == 1 + 6 * 2
    assert {c.spec.stream for c in choose(["sound"], [1], known) if c} == {"audio"}
    assert {c.name for c in choose(["all"], [1], known) if c} == set(known) - {"blockwise"}
    assert choose(["saturation"], [0], known) == (None,)


@pytest.mark.parametrize(
    ("types", "levels", "message"),
    [
        (["gausian_noise"], [1], "no perturbation called 'gausian_noise'; did you mean 'gaussian_noise'"),
        (["papers"], [1], "did you mean 'paper'"),
        (["jpeg"], [6], "level 6: levels are 0 .* to 5"),
        (["jpeg"], [-1], "level -1"),
    ],
)
def test_wrong_names_and_levels_are_told(types: list[str], levels: list[int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        choose(types, levels, installed().perturbations())


def test_a_missing_encoder_is_told_before_anything_is_computed() -> None:
    spec = PerturbationSpec("av9", "", "nowhere:nothing", "video", LEVELS, True, encoders=("libnothing",))
    with pytest.raises(UserError, match="av9 needs the encoder libnothing"):
        choose(["av9"], [1], {"av9": spec})


def test_randomness_is_a_function_of_video_type_level_and_frame() -> None:
    known = installed().perturbations()
    picture = np.full((32, 32, 3), 128, np.uint8)
    first, other = choose(["gaussian_noise"], [2, 3], known)[1:]
    assert first and other

    def noise(condition: Condition, video: str, index: int) -> np.ndarray:
        return perturb_picture(condition, video, index, picture)[0]

    reference = noise(first, "a.mp4", 7)
    assert np.array_equal(reference, noise(first, "a.mp4", 7))
    for different in (noise(first, "b.mp4", 7), noise(first, "a.mp4", 8), noise(other, "a.mp4", 7)):
        assert (reference != different).mean() > 0.5
    # Pinned, so that a sweep of today can be compared with one of last year.
    assert reference[0, :3].tolist() == PINNED


PINNED: list[list[int]] = [[111, 140, 90], [105, 141, 86], [101, 144, 110]]


def test_what_a_perturbation_gives_back_is_checked() -> None:
    with pytest.raises(TypeError, match=r"broken must return uint8 \(4, 4, 3\), not uint8 \(3, 4, 3\)"):
        perturb_picture(broken("shrinks", "video"), "v", 0, np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(TypeError, match="broken must return float32"):
        perturb_sound(broken("shrinks", "audio"), "v", np.zeros(4, np.float32), 16_000)

    frames = [av.VideoFrame(16, 16, "yuv420p") for _ in range(3)]
    for k, frame in enumerate(frames):
        frame.pts, frame.time_base = k, Fraction(1, 25)
    with pytest.raises(ValueError, match="broken changed the time of frame 0"):
        list(perturb_frames(broken("drops", "video", whole=True), "v", frames))


def test_listing_perturbations_imports_nothing_heavy() -> None:
    code = (
        "import sys; import avbench.perturbations.transforms.plugin as p; list(p.avbench_perturbations());"
        "print([m for m in ('torch', 'cv2', 'av', 'scipy', 'numpy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
