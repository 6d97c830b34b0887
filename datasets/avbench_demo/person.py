"""Who is seen and heard: the drawn features of one invented person, in pixels of the 224 px portrait."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avbench_demo.speech import Voice, draw_voice

Colour = tuple[float, float, float]  # blue, green, red, 0-1

SIZE = 224
CENTRE_X, CENTRE_Y = 112.0, 117.0  # of the face oval
HALF_HEIGHT = 74.0  # the oval is 66 % of the picture high

_SKINS = ((0.72, 0.80, 0.95), (0.62, 0.72, 0.90), (0.52, 0.63, 0.83), (0.38, 0.50, 0.70), (0.24, 0.34, 0.52))
_HAIRS = ((0.07, 0.07, 0.08), (0.10, 0.15, 0.22), (0.16, 0.26, 0.38), (0.35, 0.55, 0.70), (0.15, 0.28, 0.52),
          (0.52, 0.53, 0.55))  # fmt: skip
_IRISES = ((0.10, 0.20, 0.32), (0.45, 0.38, 0.25), (0.30, 0.42, 0.32), (0.06, 0.10, 0.16))


@dataclass(frozen=True, slots=True)
class Person:
    """One identity: face geometry, colours, hair and voice. All lengths in pixels."""

    woman: bool
    seed: int
    skin: Colour
    half_width: float
    squareness: float
    eye_y: float
    eye_distance: float  # from the middle line
    eye_width: float
    eye_height: float
    eye_tilt: float
    iris: Colour
    brow_y: float
    brow_thickness: float
    brow_arch: float
    nose_y: float
    nose_width: float
    mouth_y: float
    mouth_width: float  # half
    upper_lip: float
    lower_lip: float
    lips: Colour
    hair: Colour
    hairline: float
    long_hair: float  # 0 short, else how far it falls
    parting: float
    beard: float
    freckles: float
    voice: Voice


def draw_person(seed: list[int], woman: bool) -> Person:
    """Draw a person; the same seed gives the same person."""
    random = np.random.default_rng(seed)
    tone = random.uniform(0.0, len(_SKINS) - 1.0)
    low = int(tone)
    skin = _mix(_SKINS[low], _SKINS[min(low + 1, len(_SKINS) - 1)], tone - low)
    dark = tone / (len(_SKINS) - 1)
    hair = _HAIRS[int(random.integers(2 if dark > 0.55 else len(_HAIRS)))]
    blood = (0.35, 0.33, 0.72) if woman else (0.42, 0.44, 0.72)
    eye_y = random.uniform(99.0, 104.0)
    nose_y = random.uniform(133.0, 138.0)
    return Person(
        woman=woman,
        seed=int(random.integers(2**31)),
        skin=_vary(random, skin, 0.03),
        half_width=random.uniform(46.0, 51.0) + (0.0 if woman else 2.0),
        squareness=random.uniform(0.0, 0.3) if woman else random.uniform(0.2, 0.9),
        eye_y=eye_y,
        eye_distance=random.uniform(20.0, 23.5),
        eye_width=random.uniform(9.6, 11.6),
        eye_height=random.uniform(4.2, 5.6) + (0.5 if woman else 0.0),
        eye_tilt=random.uniform(-0.06, 0.12),
        iris=_vary(random, _IRISES[3 if dark > 0.55 else int(random.integers(len(_IRISES)))], 0.03),
        brow_y=eye_y - random.uniform(12.0, 15.0),
        brow_thickness=random.uniform(1.5, 2.3) if woman else random.uniform(2.2, 3.6),
        brow_arch=random.uniform(1.5, 4.5),
        nose_y=nose_y,
        nose_width=random.uniform(9.5, 13.5),
        mouth_y=random.uniform(157.0, 161.0),
        mouth_width=random.uniform(19.0, 24.0),
        upper_lip=random.uniform(3.4, 5.2) + (0.6 if woman else -0.4),
        lower_lip=random.uniform(4.6, 6.8) + (0.6 if woman else -0.4),
        lips=_mix(_vary(random, blood, 0.06), skin, random.uniform(0.1, 0.35) if woman else random.uniform(0.35, 0.55)),
        hair=_vary(random, hair, 0.03),
        hairline=random.uniform(62.0, 70.0) if woman else random.uniform(54.0, 63.0),
        long_hair=random.choice([0.0, 60.0, 100.0, 120.0]) if woman else 0.0,
        parting=random.uniform(-20.0, 20.0),
        beard=0.0 if woman else float(random.choice([0.0, 0.15, 0.3, 0.6])),
        freckles=float(random.choice([0.0, 0.0, 0.5, 1.0])),
        voice=draw_voice(random, woman),
    )


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    return tuple((1.0 - share) * a + share * b for a, b in zip(first, second, strict=True))  # type: ignore[return-value]


def _vary(random: np.random.Generator, colour: Colour, spread: float) -> Colour:
    return tuple(float(np.clip(c + random.uniform(-spread, spread), 0.02, 0.98)) for c in colour)  # type: ignore[return-value]
