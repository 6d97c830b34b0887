"""What lies on the face: eyes, eyebrows and hair."""

from __future__ import annotations

import numpy as np

from avbench_demo.canvas import Array, Canvas, step
from avbench_demo.person import CENTRE_X, Person


def eye_curves(person: Person, side: float, opening: float) -> tuple[Array, Array, Array]:
    """Outline of an eye: x (n,), upper lid y (n,), lower lid y (n,); opening 1 open, 0 closed."""
    across = np.linspace(-1.0, 1.0, 17, dtype=np.float32)
    x = CENTRE_X + side * person.eye_distance + across * person.eye_width
    middle = person.eye_y - side * across * person.eye_tilt * person.eye_width
    arch = (1.0 - across**2) ** np.float32(0.8)
    lower = middle + 0.62 * person.eye_height * arch
    upper = middle - person.eye_height * arch
    return x, lower + opening * (upper - lower), lower


def paint_eyes(canvas: Canvas, person: Person, light: Array) -> None:
    """Eyeballs, irises, lashes and the crease of the lid."""
    for side in (-1.0, 1.0):
        centre = CENTRE_X + side * person.eye_distance
        across = np.clip((canvas.x - centre) / person.eye_width, -1.0, 1.0)
        middle = person.eye_y - side * across * person.eye_tilt * person.eye_width
        arch = (1.0 - across**2) ** 0.8
        above = canvas.y - (middle - person.eye_height * arch)
        below = middle + 0.62 * person.eye_height * arch - canvas.y
        inside = step(np.minimum(above, below), 1.2) * step(person.eye_width - abs(canvas.x - centre), 1.0)
        shadow = 0.55 + 0.4 * np.clip(above / 5.0, 0.0, 1.0) - 0.2 * across**2
        canvas.paint(inside, np.array([0.82, 0.84, 0.86], np.float32) * shadow[..., None])
        distance = np.sqrt((canvas.x - centre) ** 2 + (canvas.y - person.eye_y + 0.6) ** 2)
        spokes = 0.8 + 0.35 * np.clip(distance / 4.8, 0.0, 1.0)
        canvas.paint(inside * step(4.9 - distance, 1.2), np.array(person.iris, np.float32) * 1.3 * spokes[..., None])
        canvas.paint(inside * step(2.1 - distance, 1.0), (0.02, 0.02, 0.03))
        glint = canvas.bump(centre + 1.6 * np.sign(light[0]), person.eye_y - 2.2, 0.9, 0.9)
        canvas.paint(inside * glint, (0.95, 0.95, 0.95))
        edge = np.exp(-0.5 * (above / 0.9) ** 2) * (arch > 0) * step(person.eye_width - abs(canvas.x - centre), 1.5)
        canvas.paint(0.85 * edge, (0.05, 0.05, 0.07))
        crease = np.exp(-0.5 * ((above + 3.6) / 0.9) ** 2) * step(person.eye_width * 0.95 - abs(canvas.x - centre), 3.0)
        canvas.paint(0.4 * crease, 0.45 * np.array(person.skin))


def paint_brows(canvas: Canvas, person: Person) -> None:
    """Eyebrows of fine hairs."""
    hairs = np.clip(0.75 + 0.4 * canvas.grain(0.5, 0.9), 0.0, 1.0)
    for side in (-1.0, 1.0):
        along = (side * (canvas.x - CENTRE_X) - 8.5) / 28.0  # 0 inner end, 1 outer end
        arc = person.brow_y - person.brow_arch * np.sin(np.pi * np.clip(along * 0.85, 0.0, 1.0)) + 2.0 * along
        thickness = person.brow_thickness * np.clip(1.25 - along, 0.15, 1.0)
        inside = step(thickness - abs(canvas.y - arc), 1.8) * step(0.5 - abs(along - 0.5), 0.12)
        canvas.paint(0.9 * inside * hairs, 0.6 * np.array(person.hair))


def paint_hair_behind(canvas: Canvas, person: Person, strands: Array) -> None:
    """Hair behind head and neck."""
    wide = person.half_width + (13.0 if person.long_hair else 4.0)
    cap = 1.0 - ((canvas.x - CENTRE_X) / wide) ** 2 - ((canvas.y - 92.0) / 66.0) ** 2
    mask = step(cap * 20.0, 2.0)
    if person.long_hair:
        wave = 3.0 * np.sin(canvas.y / 14.0)
        inside = np.minimum(wide - abs(canvas.x - CENTRE_X) + wave, 100.0 + person.long_hair - canvas.y)
        mask = np.maximum(mask, step(inside, 6.0) * step(canvas.y - 92.0, 2.0))
    canvas.paint(mask, np.array(person.hair, np.float32) * np.clip(0.62 + 0.16 * strands, 0.2, 1.2)[..., None])


def paint_hair_front(canvas: Canvas, person: Person, strands: Array, light: Array) -> None:
    """Hair over the forehead and at the temples."""
    offset = canvas.x - CENTRE_X
    curve = 0.011 if person.woman else 0.02 * np.clip(1.3 - abs(offset) / 60.0, 0.2, 1.0)
    line = person.hairline + curve * (offset - person.parting) ** 2 + 1.5 * strands
    if person.long_hair:
        line = line + np.clip(abs(offset) - person.half_width * 0.82, 0.0, 20.0) * 6.0
    else:
        line = np.minimum(line, 106.0)
    cap = 1.0 - (offset / (person.half_width + 5.0)) ** 2 - ((canvas.y - 94.0) / 66.0) ** 2
    mask = step(np.minimum(line - canvas.y, cap * 22.0), 4.0)
    shine = canvas.bump(CENTRE_X + 30.0 * light[0], 46.0, 32.0, 7.0)
    colour = np.array(person.hair, np.float32) * np.clip(0.95 + 0.22 * strands, 0.3, 1.5)[..., None]
    canvas.paint(mask, np.clip(colour + 0.16 * shine[..., None], 0.0, 1.0))
