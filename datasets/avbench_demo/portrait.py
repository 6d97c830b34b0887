"""Paint one person at rest in front of a background."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from avbench_demo.canvas import Array, Canvas, Studio, step
from avbench_demo.features import paint_brows, paint_eyes, paint_hair_behind, paint_hair_front
from avbench_demo.person import CENTRE_X, Person
from avbench_demo.skin import face_mask, relief, shade, skin


def paint_portrait(person: Person, studio: Studio, seed: list[int]) -> NDArray[np.uint8]:
    """Paint (224, 224, 3) uint8 BGR: eyes open, mouth closed, looking into the camera.

    The seed fixes background, clothes and light; the person and skin come from the person alone.
    """
    scene = np.random.default_rng(seed)
    canvas = Canvas(np.random.default_rng(person.seed))
    _background(canvas, studio, scene)
    light = np.array([scene.uniform(-0.7, 0.7), scene.uniform(-0.65, -0.25), 0.8], np.float32)
    light /= np.linalg.norm(light)
    strands = canvas.grain(0.7, 9.0)
    paint_hair_behind(canvas, person, strands)
    _body(canvas, person, studio, light, scene)
    lit = skin(canvas, person, studio) * shade(relief(canvas, person), light, studio)
    canvas.paint(face_mask(canvas, person), np.clip(lit, 0.0, 1.2))
    paint_eyes(canvas, person, light)
    paint_brows(canvas, person)
    paint_hair_front(canvas, person, strands, light)
    tint = scene.uniform(0.88, 1.04) * np.array([1.0 - 0.07 * studio.warmth, 1.0, 1.0 + 0.05 * studio.warmth])
    picture = np.clip(canvas.picture * tint, 0.0, 1.0) * 255.0
    if studio.lens:
        picture = cv2.GaussianBlur(picture, (0, 0), studio.lens)
    return picture.round().astype(np.uint8)


def _background(canvas: Canvas, studio: Studio, scene: np.random.Generator) -> None:
    """A curtain, or a room out of focus."""
    hue = scene.uniform(0.15, 0.7, 3).astype(np.float32)
    hue = 0.4 * hue + 0.6 * hue.mean()
    slope = (canvas.y - 112.0) / 224.0 * scene.uniform(-0.5, 0.3)
    level = np.broadcast_to(1.0 + slope, canvas.picture.shape[:2])
    if studio.curtain:
        folds = np.sin(canvas.x / scene.uniform(5.0, 14.0) + 1.5 * np.sin(canvas.x / 31.0 + scene.uniform(0, 6)))
        level = level * (1.0 + 0.12 * folds) * (1.0 + 0.4 * canvas.bump(scene.uniform(40, 180), 60, 80, 90))
        canvas.picture[:] = level[..., None] * hue
        return
    canvas.picture[:] = level[..., None] * hue
    for _ in range(7):
        colour = np.clip(hue + scene.uniform(-0.2, 0.2) + scene.uniform(-0.1, 0.1, 3), 0.05, 0.95)
        x, y = scene.uniform(0, 224), scene.uniform(0, 224)
        wide, high = scene.uniform(10, 45), scene.uniform(15, 70)
        inside = np.minimum(wide - abs(canvas.x - x), high - abs(canvas.y - y))
        canvas.paint(0.8 * step(inside, scene.uniform(3.0, 9.0)), tuple(colour))


def _body(canvas: Canvas, person: Person, studio: Studio, light: Array, scene: np.random.Generator) -> None:
    """Neck, shoulders and clothes."""
    side = np.clip(0.85 + 0.5 * light[0] * (canvas.x - CENTRE_X) / 40.0, 0.5, 1.15)
    width = (26.0 if person.woman else 32.0) + 0.25 * np.maximum(canvas.y - 196.0, 0.0)
    neck = step(width - abs(canvas.x - CENTRE_X), 2.0) * step(canvas.y - 140.0, 2.0)
    under = 0.55 + 0.45 * np.clip((canvas.y - 186.0) / 26.0, 0.0, 1.0)
    canvas.paint(neck, np.array(person.skin, np.float32) * (side * under * 0.9)[..., None])
    cloth = np.float32(scene.uniform(0.08, 0.75, 3))
    reach = (64.0 if person.woman else 78.0) * np.sqrt(np.maximum(canvas.y - 194.0, 0.0) / 26.0) + 22.0
    shoulders = step(reach - abs(canvas.x - CENTRE_X), 2.0) * step(canvas.y - 197.0, 2.0)
    opening = step(canvas.y - 226.0 + abs(canvas.x - CENTRE_X) * scene.uniform(0.7, 1.3), 2.0)
    weave = 1.0 + 0.06 * canvas.grain(0.6, 2.0) + 0.12 * canvas.grain(5.0, 9.0)
    canvas.paint(shoulders * opening, cloth * np.clip(weave * side, 0.3, 1.5)[..., None])
