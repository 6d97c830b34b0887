"""Paint one person at rest in front of a background: a shaded relief with skin, eyes, lips and hair."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avbench_demo.person import CENTRE_X, CENTRE_Y, HALF_HEIGHT, SIZE, Colour, Person

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Studio:
    """How one database paints: light, shading, background, sharpness of the lens."""

    ambient: float
    wrap: float  # 0 Lambert, 1 light that reaches round corners
    shine: float
    warmth: float  # colour temperature of the light, -1 cold to 1 warm
    curtain: bool  # background of folds, else of soft shapes
    lens: float  # blur in pixels
    texture: float  # contrast of skin


class Canvas:
    """A picture under painting with pixel coordinates X, Y of the 224 px portrait."""

    def __init__(self, random: np.random.Generator) -> None:
        axis = np.arange(SIZE, dtype=np.float32)
        self.x, self.y = axis[None, :], axis[:, None]
        self.picture: Array = np.zeros((SIZE, SIZE, 3), np.float32)
        self.random = random

    def paint(self, mask: Array, colour: Colour | Array) -> None:
        """Lay a colour, or a picture, over the canvas where the mask is 1."""
        layer = np.asarray(colour, np.float32)
        self.picture += mask[..., None] * (layer - self.picture)

    def grain(self, horizontal: float, vertical: float) -> Array:
        """Smooth noise of unit deviation; blur in portrait pixels."""
        noise = self.random.standard_normal((SIZE, SIZE), dtype=np.float32)
        noise = cv2.GaussianBlur(noise, (0, 0), horizontal, sigmaY=vertical)
        result: Array = noise / noise.std()
        return result

    def bump(self, x: float, y: float, wide: float, high: float) -> Array:
        """A Gaussian hill of height 1."""
        result: Array = np.exp(-0.5 * ((self.x - x) / wide) ** 2) * np.exp(-0.5 * ((self.y - y) / high) ** 2)
        return result


def step(distance: Array, soft: float) -> Array:
    """1 where distance (pixels inside an edge) is positive, 0 outside, smooth over `soft` pixels."""
    part = np.clip(distance / soft + 0.5, 0.0, 1.0)
    result: Array = part * part * (3.0 - 2.0 * part)
    return result


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
    _hair_behind(canvas, person, strands)
    _body(canvas, person, studio, light, scene)
    face = _face_mask(canvas, person)
    skin, relief = _skin(canvas, person, studio), _relief(canvas, person)
    shade = _shade(relief, light, studio)
    canvas.paint(face, np.clip(skin * shade, 0.0, 1.2))
    _eyes(canvas, person, light)
    _brows(canvas, person)
    _hair_front(canvas, person, strands, face, light)
    tint = np.float32([1.0 - 0.07 * studio.warmth, 1.0, 1.0 + 0.05 * studio.warmth]) * scene.uniform(0.88, 1.04)
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
    canvas.paint(neck, np.float32(person.skin) * (side * under * 0.9)[..., None])
    cloth = np.float32(scene.uniform(0.08, 0.75, 3))
    reach = (64.0 if person.woman else 78.0) * np.sqrt(np.maximum(canvas.y - 194.0, 0.0) / 26.0) + 22.0
    shoulders = step(reach - abs(canvas.x - CENTRE_X), 2.0) * step(canvas.y - 197.0, 2.0)
    opening = step(canvas.y - 226.0 + abs(canvas.x - CENTRE_X) * scene.uniform(0.7, 1.3), 2.0)
    weave = 1.0 + 0.06 * canvas.grain(0.6, 2.0) + 0.12 * canvas.grain(5.0, 9.0)
    canvas.paint(shoulders * opening, cloth * np.clip(weave * side, 0.3, 1.5)[..., None])


def _outline(canvas: Canvas, person: Person) -> Array:
    """Half width of the face (rows, 1) by height."""
    v = (canvas.y - CENTRE_Y) / HALF_HEIGHT
    upper = np.sqrt(np.maximum(1.0 - np.minimum(v, 0.0) ** 2 * 0.98, 0.0))
    power = 2.1 + 1.3 * person.squareness
    lower = np.maximum(1.0 - np.clip(v, 0.0, 1.0) ** power, 0.0) ** (0.62 - 0.08 * person.squareness)
    result: Array = person.half_width * np.where(v < 0, upper, lower)
    return result


def _face_mask(canvas: Canvas, person: Person) -> Array:
    mask = step(_outline(canvas, person) - abs(canvas.x - CENTRE_X), 2.0)
    mask = mask * step(canvas.y - (CENTRE_Y - HALF_HEIGHT), 2.0) * step(CENTRE_Y + HALF_HEIGHT - canvas.y, 2.0)
    for side in (-1.0, 1.0):  # ears
        ear = 1.0 - ((canvas.x - CENTRE_X - side * person.half_width * 1.01) / 5.5) ** 2 - ((canvas.y - 114.0) / 14.0) ** 2
        mask = np.maximum(mask, step(ear * 6.0, 2.0))
    return mask


def _relief(canvas: Canvas, person: Person) -> Array:
    """Height of the face in pixels."""
    outline = np.maximum(_outline(canvas, person), 8.0)
    across = np.clip((canvas.x - CENTRE_X) / (outline * 1.06), -1.0, 1.0)
    along = np.clip((canvas.y - CENTRE_Y) / (HALF_HEIGHT * 1.08), -1.0, 1.0)
    z: Array = 46.0 * np.sqrt(np.maximum(1.0 - across**2, 0.0)) * np.sqrt(np.maximum(1.0 - along**4, 0.0))
    middle = (person.eye_y + person.nose_y) / 2
    z = z + 7.0 * canvas.bump(CENTRE_X, middle + 4, 4.6, 16.0) + 7.5 * canvas.bump(CENTRE_X, person.nose_y - 4, 6.5, 6.5)
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
    return cv2.GaussianBlur(z, (0, 0), 1.2)


def _shade(relief: Array, light: Array, studio: Studio) -> Array:
    """Colour gain (rows, columns, 3): diffuse light with reddish shadows, and a little shine."""
    slope_y, slope_x = np.gradient(relief)
    length = np.sqrt(1.0 + slope_x**2 + slope_y**2)
    facing = (-slope_x * light[0] - slope_y * light[1] + light[2]) / length
    diffuse = np.clip((facing + studio.wrap) / (1.0 + studio.wrap), 0.0, 1.0)
    level = studio.ambient + (1.15 - studio.ambient) * diffuse
    gain: Array = level[..., None] ** np.float32([1.12, 1.05, 0.86])
    half = light + np.float32([0.0, 0.0, 1.0])
    half /= np.linalg.norm(half)
    mirror = np.clip((-slope_x * half[0] - slope_y * half[1] + half[2]) / length, 0.0, 1.0)
    return gain + (studio.shine * mirror**24)[..., None]


def _skin(canvas: Canvas, person: Person, studio: Studio) -> Array:
    """Colour of the skin, lips included, before light."""
    skin: Array = np.broadcast_to(np.float32(person.skin), canvas.picture.shape).copy()
    pores = 0.02 * canvas.grain(0.5, 0.5) + 0.018 * canvas.grain(1.3, 1.3) + 0.012 * canvas.grain(6.0, 6.0)
    skin *= 1.0 + (studio.texture * pores)[..., None]

    def stain(mask: Array, colour: Colour, share: float) -> None:
        rows, columns = np.flatnonzero(mask.max(axis=1) > 0.01), np.flatnonzero(mask.max(axis=0) > 0.01)
        if len(rows) and len(columns):
            part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            skin[part] += (share * mask[part])[..., None] * (np.float32(colour) * np.float32(person.skin) - skin[part])

    for side in (-1.0, 1.0):
        stain(canvas.bump(CENTRE_X + side * 29.0, 135.0, 11.0, 9.0), (0.82, 0.82, 1.04), 0.6)
        stain(canvas.bump(CENTRE_X + side * person.eye_distance, person.eye_y + 8.5, 9.0, 2.4), (0.78, 0.76, 0.82), 0.55)
        stain(canvas.bump(CENTRE_X + side * person.eye_distance, person.eye_y - 6.0, 10.0, 3.0), (0.7, 0.7, 0.8), 0.5)
        stain(canvas.bump(CENTRE_X + side * person.nose_width * 0.42, person.nose_y + 3.6, 2.5, 1.3), (0.25, 0.22, 0.3), 0.9)
        stain(canvas.bump(CENTRE_X + side * person.nose_width, person.nose_y + 0.5, 1.2, 4.0), (0.6, 0.6, 0.7), 0.5)
        stain(canvas.bump(CENTRE_X + side * (person.mouth_width + 2.0), person.mouth_y, 2.0, 2.2), (0.6, 0.6, 0.7), 0.5)
    stain(canvas.bump(CENTRE_X, person.nose_y + 4.6, person.nose_width * 0.9, 1.5), (0.5, 0.5, 0.58), 0.5)
    stain(canvas.bump(CENTRE_X, person.nose_y - 4.0, 6.5, 6.0), (0.88, 0.88, 1.03), 0.5)
    if person.freckles:
        spots = np.clip(canvas.grain(0.8, 0.8) - 1.7, 0.0, 1.0) * canvas.bump(CENTRE_X, 128.0, 34.0, 13.0)
        stain(spots, (0.55, 0.62, 0.75), 0.8 * person.freckles)
    if person.beard:
        chin = step(canvas.y - 146.0 + 0.012 * (canvas.x - CENTRE_X) ** 2 * -1.0 + 14.0, 26.0)
        chin = chin * (1.0 - 0.9 * canvas.bump(CENTRE_X, person.mouth_y - 1, 16.0, 6.0))
        stubble = np.clip(0.75 + 0.35 * canvas.grain(0.45, 0.7), 0.0, 1.0)
        skin += (person.beard * chin * stubble)[..., None] * (np.float32(person.hair) * 0.9 - skin)
    lips = _lips(canvas, person)
    creases = 1.0 + 0.06 * canvas.grain(0.6, 2.0)
    skin += lips[..., None] * (np.float32(person.lips) * creases[..., None] - skin)
    line = canvas.bump(CENTRE_X, person.mouth_y, person.mouth_width * 0.6, 0.8)
    skin *= 1.0 - 0.55 * line[..., None]
    return skin


def _lips(canvas: Canvas, person: Person) -> Array:
    """Mask of both lips, closed."""
    across = np.clip(abs(canvas.x - CENTRE_X) / person.mouth_width, 0.0, 1.0)
    bow = 1.0 - 0.22 * np.exp(-(((canvas.x - CENTRE_X) / 3.5) ** 2))
    top = person.upper_lip * (1.0 - across**1.6) * bow
    bottom = person.lower_lip * np.sqrt(1.0 - across**2)
    offset = canvas.y - person.mouth_y
    return step(np.minimum(top + offset, bottom - offset), 1.6) * step(person.mouth_width - abs(canvas.x - CENTRE_X), 2.0)


def eye_curves(person: Person, side: float, opening: float) -> tuple[Array, Array, Array]:
    """Outline of an eye: x (n,), upper lid y (n,), lower lid y (n,); opening 1 open, 0 closed."""
    across = np.linspace(-1.0, 1.0, 17, dtype=np.float32)
    x = CENTRE_X + side * person.eye_distance + across * person.eye_width
    middle = person.eye_y - side * across * person.eye_tilt * person.eye_width
    arch = (1.0 - across**2) ** np.float32(0.8)
    lower = middle + 0.62 * person.eye_height * arch
    upper = middle - person.eye_height * arch
    return x, lower + opening * (upper - lower), lower


def _eyes(canvas: Canvas, person: Person, light: Array) -> None:
    """Eyeballs, irises, lashes and the crease of the lid."""
    for side in (-1.0, 1.0):
        centre = CENTRE_X + side * person.eye_distance
        across = np.clip((canvas.x - centre) / person.eye_width, -1.0, 1.0)
        middle = person.eye_y - side * across * person.eye_tilt * person.eye_width
        arch = (1.0 - across**2) ** 0.8
        above = canvas.y - (middle - person.eye_height * arch)
        below = middle + 0.62 * person.eye_height * arch - canvas.y
        inside = step(np.minimum(above, below), 1.2) * step(person.eye_width - abs(canvas.x - centre), 1.0)
        ball = np.float32([0.82, 0.84, 0.86]) * (0.55 + 0.4 * np.clip(above / 5.0, 0.0, 1.0) - 0.2 * across**2)[..., None]
        canvas.paint(inside, ball)
        distance = np.sqrt((canvas.x - centre) ** 2 + (canvas.y - person.eye_y + 0.6) ** 2)
        spokes = 0.8 + 0.35 * np.clip(distance / 4.8, 0.0, 1.0)
        canvas.paint(inside * step(4.9 - distance, 1.2), np.float32(person.iris) * 1.3 * spokes[..., None])
        canvas.paint(inside * step(2.1 - distance, 1.0), (0.02, 0.02, 0.03))
        glint = canvas.bump(centre + 1.6 * np.sign(light[0]), person.eye_y - 2.2, 0.9, 0.9)
        canvas.paint(inside * glint, (0.95, 0.95, 0.95))
        edge = np.exp(-0.5 * (above / 0.9) ** 2) * (arch > 0) * step(person.eye_width - abs(canvas.x - centre), 1.5)
        canvas.paint(0.85 * edge, (0.05, 0.05, 0.07))
        crease = np.exp(-0.5 * ((above + 3.6) / 0.9) ** 2) * step(person.eye_width * 0.95 - abs(canvas.x - centre), 3.0)
        canvas.paint(0.4 * crease, tuple(0.45 * c for c in person.skin))


def _brows(canvas: Canvas, person: Person) -> None:
    """Eyebrows of fine hairs."""
    hairs = np.clip(0.75 + 0.4 * canvas.grain(0.5, 0.9), 0.0, 1.0)
    for side in (-1.0, 1.0):
        along = (side * (canvas.x - CENTRE_X) - 8.5) / 28.0  # 0 inner end, 1 outer end
        arc = person.brow_y - person.brow_arch * np.sin(np.pi * np.clip(along * 0.85, 0.0, 1.0)) + 2.0 * along
        thickness = person.brow_thickness * np.clip(1.25 - along, 0.15, 1.0)
        inside = step(thickness - abs(canvas.y - arc), 1.8) * step(0.5 - abs(along - 0.5), 0.12)
        canvas.paint(0.9 * inside * hairs, tuple(0.6 * c for c in person.hair))


def _hair_behind(canvas: Canvas, person: Person, strands: Array) -> None:
    """Hair behind head and neck."""
    wide, bottom = (person.half_width + 13.0, 100.0 + person.long_hair) if person.long_hair else (person.half_width + 4.0, 112.0)
    cap = 1.0 - ((canvas.x - CENTRE_X) / wide) ** 2 - ((canvas.y - 92.0) / 66.0) ** 2
    mask = step(cap * 20.0, 2.0)
    if person.long_hair:
        wave = 3.0 * np.sin(canvas.y / 14.0)
        fall = step(np.minimum(wide - abs(canvas.x - CENTRE_X) + wave, bottom - canvas.y), 6.0) * step(canvas.y - 92.0, 2.0)
        mask = np.maximum(mask, fall)
    canvas.paint(mask, np.float32(person.hair) * np.clip(0.62 + 0.16 * strands, 0.2, 1.2)[..., None])


def _hair_front(canvas: Canvas, person: Person, strands: Array, face: Array, light: Array) -> None:
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
    colour = np.float32(person.hair) * np.clip(0.95 + 0.22 * strands, 0.3, 1.5)[..., None]
    canvas.paint(mask, np.clip(colour + 0.16 * shine[..., None], 0.0, 1.0))
