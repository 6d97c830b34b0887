"""The face as a shape under light: outline, relief, shading, and the colours of skin and lips."""

from __future__ import annotations

import cv2
import numpy as np

from avbench_demo.canvas import Array, Canvas, Studio, step, touched
from avbench_demo.person import CENTRE_X, CENTRE_Y, HALF_HEIGHT, Colour, Person


def _outline(canvas: Canvas, person: Person) -> Array:
    """Half width of the face (rows, 1) by height."""
    v = (canvas.y - CENTRE_Y) / HALF_HEIGHT
    upper = np.sqrt(np.maximum(1.0 - np.minimum(v, 0.0) ** 2 * 0.98, 0.0))
    power = 2.1 + 1.3 * person.squareness
    lower = np.maximum(1.0 - np.clip(v, 0.0, 1.0) ** power, 0.0) ** (0.62 - 0.08 * person.squareness)
    result: Array = person.half_width * np.where(v < 0, upper, lower)
    return result


def face_mask(canvas: Canvas, person: Person) -> Array:
    mask = step(_outline(canvas, person) - abs(canvas.x - CENTRE_X), 2.0)
    mask = mask * step(canvas.y - (CENTRE_Y - HALF_HEIGHT), 2.0) * step(CENTRE_Y + HALF_HEIGHT - canvas.y, 2.0)
    for side in (-1.0, 1.0):  # ears
        offset = canvas.x - CENTRE_X - side * person.half_width * 1.01
        ear = 1.0 - (offset / 5.5) ** 2 - ((canvas.y - 114.0) / 14.0) ** 2
        mask = np.maximum(mask, step(ear * 6.0, 2.0))
    return mask


def relief(canvas: Canvas, person: Person) -> Array:
    """Height of the face in pixels."""
    outline = np.maximum(_outline(canvas, person), 8.0)
    across = np.clip((canvas.x - CENTRE_X) / (outline * 1.06), -1.0, 1.0)
    along = np.clip((canvas.y - CENTRE_Y) / (HALF_HEIGHT * 1.08), -1.0, 1.0)
    z: Array = 46.0 * np.sqrt(np.maximum(1.0 - across**2, 0.0)) * np.sqrt(np.maximum(1.0 - along**4, 0.0))
    middle = (person.eye_y + person.nose_y) / 2
    z = z + 7.0 * canvas.bump(CENTRE_X, middle + 4, 4.6, 16.0)
    z += 7.5 * canvas.bump(CENTRE_X, person.nose_y - 4, 6.5, 6.5)
    z += 2.0 * canvas.bump(CENTRE_X, person.brow_y, 30.0, 5.0)
    z += 2.6 * canvas.bump(CENTRE_X, 181.0, 13.0, 8.0)
    z += 1.6 * canvas.bump(CENTRE_X, person.mouth_y - 3.5, person.mouth_width * 0.6, 3.0)
    z += 2.4 * canvas.bump(CENTRE_X, person.mouth_y + 4.0, person.mouth_width * 0.55, 3.2)
    z -= 2.2 * canvas.bump(CENTRE_X, person.mouth_y + 0.3, person.mouth_width * 0.8, 1.6)
    z -= 1.2 * canvas.bump(CENTRE_X, person.mouth_y + 12.0, 14.0, 3.5)
    z -= 0.8 * canvas.bump(CENTRE_X, person.mouth_y - 10.0, 2.2, 5.0)
    for side in (-1.0, 1.0):
        eye_x = CENTRE_X + side * person.eye_distance
        z -= 3.4 * canvas.bump(eye_x - side * 3, person.eye_y - 3, 10.0, 6.5)
        z += 2.0 * canvas.bump(eye_x, person.eye_y + 1, 7.0, 4.5)
        z += 2.6 * canvas.bump(CENTRE_X + side * 31.0, 128.0, 10.0, 10.0)
        z += 3.2 * canvas.bump(CENTRE_X + side * person.nose_width * 0.75, person.nose_y - 1.5, 3.6, 4.2)
        z -= 1.5 * canvas.bump(CENTRE_X + side * 21.0, 147.0, 3.0, 9.0)
        z -= 1.2 * canvas.bump(CENTRE_X + side * 45.0, 95.0, 8.0, 12.0)
    return np.asarray(cv2.GaussianBlur(z, (0, 0), 1.2))


def shade(relief: Array, light: Array, studio: Studio) -> Array:
    """Colour gain (rows, columns, 3): diffuse light with reddish shadows, and a little shine."""
    slope_y, slope_x = np.gradient(relief)
    length = np.sqrt(1.0 + slope_x**2 + slope_y**2)
    facing = (-slope_x * light[0] - slope_y * light[1] + light[2]) / length
    diffuse = np.clip((facing + studio.wrap) / (1.0 + studio.wrap), 0.0, 1.0)
    level = studio.ambient + (1.15 - studio.ambient) * diffuse
    gain = level[..., None] ** np.array([1.12, 1.05, 0.86], np.float32)
    half = light + np.array([0.0, 0.0, 1.0], np.float32)
    half /= np.linalg.norm(half)
    mirror = np.clip((-slope_x * half[0] - slope_y * half[1] + half[2]) / length, 0.0, 1.0)
    return np.asarray(gain + (studio.shine * mirror**24)[..., None], np.float32)


def skin(canvas: Canvas, person: Person, studio: Studio) -> Array:
    """Colour of the skin, lips included, before light."""
    colours: Array = np.broadcast_to(np.array(person.skin, np.float32), canvas.picture.shape).copy()
    pores = 0.02 * canvas.grain(0.5, 0.5) + 0.018 * canvas.grain(1.3, 1.3) + 0.012 * canvas.grain(6.0, 6.0)
    colours *= 1.0 + (studio.texture * pores)[..., None]

    def stain(mask: Array, colour: Colour, share: float) -> None:
        part = touched(mask)
        pigment = np.array(colour, np.float32) * np.array(person.skin, np.float32)
        colours[part] += (share * mask[part])[..., None] * (pigment - colours[part])

    eye, nose, mouth = person.eye_distance, person.nose_width, person.mouth_width
    for side in (-1.0, 1.0):
        stain(canvas.bump(CENTRE_X + side * 29.0, 135.0, 11.0, 9.0), (0.82, 0.82, 1.04), 0.6)  # cheek
        stain(canvas.bump(CENTRE_X + side * eye, person.eye_y + 8.5, 9.0, 2.4), (0.78, 0.76, 0.82), 0.55)
        stain(canvas.bump(CENTRE_X + side * eye, person.eye_y - 6.0, 10.0, 3.0), (0.7, 0.7, 0.8), 0.5)
        stain(canvas.bump(CENTRE_X + side * nose * 0.42, person.nose_y + 3.6, 2.5, 1.3), (0.25, 0.22, 0.3), 0.9)
        stain(canvas.bump(CENTRE_X + side * nose, person.nose_y + 0.5, 1.2, 4.0), (0.6, 0.6, 0.7), 0.5)
        stain(canvas.bump(CENTRE_X + side * (mouth + 2.0), person.mouth_y, 2.0, 2.2), (0.6, 0.6, 0.7), 0.5)
    stain(canvas.bump(CENTRE_X, person.nose_y + 4.6, nose * 0.9, 1.5), (0.5, 0.5, 0.58), 0.5)
    stain(canvas.bump(CENTRE_X, person.nose_y - 4.0, 6.5, 6.0), (0.88, 0.88, 1.03), 0.5)
    if person.freckles:
        spots = np.clip(canvas.grain(0.8, 0.8) - 1.7, 0.0, 1.0) * canvas.bump(CENTRE_X, 128.0, 34.0, 13.0)
        stain(spots, (0.55, 0.62, 0.75), 0.8 * person.freckles)
    if person.beard:
        chin = step(canvas.y - 132.0 - 0.012 * (canvas.x - CENTRE_X) ** 2, 26.0)
        chin = chin * (1.0 - 0.9 * canvas.bump(CENTRE_X, person.mouth_y - 1, 16.0, 6.0))
        stubble = np.clip(0.75 + 0.35 * canvas.grain(0.45, 0.7), 0.0, 1.0)
        colours += (person.beard * chin * stubble)[..., None] * (np.array(person.hair, np.float32) * 0.9 - colours)
    lips = _lips(canvas, person)
    creases = 1.0 + 0.06 * canvas.grain(0.6, 2.0)
    colours += lips[..., None] * (np.array(person.lips, np.float32) * creases[..., None] - colours)
    line = canvas.bump(CENTRE_X, person.mouth_y, person.mouth_width * 0.6, 0.8)
    colours *= 1.0 - 0.55 * line[..., None]
    return colours


def _lips(canvas: Canvas, person: Person) -> Array:
    """Mask of both lips, closed."""
    across = np.clip(abs(canvas.x - CENTRE_X) / person.mouth_width, 0.0, 1.0)
    bow = 1.0 - 0.22 * np.exp(-(((canvas.x - CENTRE_X) / 3.5) ** 2))
    top = person.upper_lip * (1.0 - across**1.6) * bow
    bottom = person.lower_lip * np.sqrt(1.0 - across**2)
    offset = canvas.y - person.mouth_y
    inside = step(person.mouth_width - abs(canvas.x - CENTRE_X), 2.0)
    return inside * step(np.minimum(top + offset, bottom - offset), 1.6)
