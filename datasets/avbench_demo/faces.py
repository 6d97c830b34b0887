"""Animate a portrait: action units bend the painted face, lids and mouth are drawn, the head moves."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avbench_demo.features import eye_curves
from avbench_demo.performance import Performance
from avbench_demo.person import CENTRE_X, SIZE, Person

Array = NDArray[Any]  # float32
Frames = NDArray[Any]  # uint8
_TOP, _BOTTOM, _LEFT, _RIGHT = 68, 216, 54, 170  # the part of the portrait that action units can bend
_AROUND = np.s_[6:210, 28:196]  # the part that moves with the head
_ACROSS = np.linspace(-1.0, 1.0, 21, dtype=np.float32)  # the mouth from corner to corner
_PROFILE = np.sqrt(1.0 - _ACROSS**2)
_TEETH = np.clip(1.15 - 1.3 * _ACROSS**2, 0.0, 1.0)
_SHIFT = 4  # fractional bits of polygon coordinates


class Face:
    """One painted person who can be given a performance."""

    def __init__(self, portrait: Frames, person: Person) -> None:
        self.portrait, self.person = portrait, person
        x = np.arange(_LEFT, _RIGHT, dtype=np.float32)[None, :]
        y = np.arange(_TOP, _BOTTOM, dtype=np.float32)[:, None]
        self._grid = np.stack(np.broadcast_arrays(x, y)).ravel()
        self._fields = _fields(person, x, y)
        self._folds = _folds(person, x, y)
        self._lid = _tone(portrait, person.eye_y - 8.0, CENTRE_X - person.eye_distance) * 1.05
        self._brightness = float(portrait[110:150, 80:144].mean()) / 140.0
        self._rest = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE))).astype(np.float32)[:, *_AROUND]
        weight = _head_weight()[_AROUND]
        across, down = self._rest[0] - CENTRE_X, self._rest[1] - 150.0
        self._sway = np.stack([weight * across, weight * down, weight]).reshape(3, -1)

    def act(self, performance: Performance, start: int = 0, stop: int | None = None) -> Frames:
        """Render frames start to stop of a performance: (T, 224, 224, 3) uint8 BGR."""
        numbers = range(start, len(performance.au) if stop is None else stop)
        frames = np.empty((len(numbers), SIZE, SIZE, 3), np.uint8)
        for place, number in enumerate(numbers):
            still = self.portrait.copy()
            still[_TOP:_BOTTOM, _LEFT:_RIGHT] = self._expression(performance, number)
            still[_AROUND] = self._move(still, performance.head[number])
            cv2.convertScaleAbs(still, dst=frames[place], alpha=float(performance.light[number]))
        return frames

    def _expression(self, performance: Performance, number: int) -> Frames:
        """The bent face with drawn lids and mouth, in the portrait's own pose."""
        raw = performance.au[number]
        rounding, gaze = float(performance.rounding[number]), performance.gaze[number]
        gap, jaw = mouth_opening(float(raw[6]), float(raw[7]))
        drive = np.array([*raw[:6], gap, jaw, rounding, gaze[0], gaze[1]], np.float32)
        bent = (self._grid - drive @ self._fields).reshape(2, _BOTTOM - _TOP, _RIGHT - _LEFT)
        face = cv2.remap(self.portrait, bent[0], bent[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        folds = 1.0 - np.tensordot(raw[[0, 2, 3, 4, 5]], self._folds, axes=1)
        face = cv2.multiply(face, cv2.merge([folds] * 3), dtype=cv2.CV_8U)
        self._close_lids(face, float(performance.blink[number]), float(raw[3]))
        self._open_mouth(face, gap, float(raw[5]), rounding)
        return np.asarray(face)

    def _close_lids(self, face: Frames, blink: float, squint: float) -> None:
        opening = (1.0 - blink) * (1.0 - 0.06 * squint)
        if opening > 0.97:
            return
        for side in (-1.0, 1.0):
            x, open_y, _ = eye_curves(self.person, side, 1.0)
            _, lid_y, _ = eye_curves(self.person, side, opening)
            lid = np.concatenate([np.stack([x, open_y - 1.0], 1), np.stack([x, lid_y], 1)[::-1]])
            cv2.fillPoly(face, [_points(lid)], self._lid.tolist(), cv2.LINE_AA, _SHIFT)
            edge = _points(np.stack([x, lid_y], 1))
            cv2.polylines(face, [edge], False, (self._lid * 0.3).tolist(), 1, cv2.LINE_AA, _SHIFT)

    def _open_mouth(self, face: Frames, gap: float, smile: float, rounding: float) -> None:
        """Draw what shows between the lips: dark, upper teeth, tongue."""
        if gap < 0.4:
            return
        person = self.person
        x = CENTRE_X + _ACROSS * max(person.mouth_width * (0.86 - 0.32 * rounding) + 0.8 * smile, 6.0)
        corner = person.mouth_y - 0.6 * smile * _ACROSS**2
        upper, lower = corner - 0.3 * gap * _PROFILE, corner + 0.7 * gap * _PROFILE

        def fill(top: Array, bottom: Array, colour: tuple[float, float, float]) -> None:
            ring = np.concatenate([np.stack([x, top], 1), np.stack([x, bottom], 1)[::-1]])
            cv2.fillPoly(face, [_points(ring)], [c * self._brightness for c in colour], cv2.LINE_AA, _SHIFT)

        fill(upper, lower, (26.0, 20.0, 52.0))
        if gap > 4.0:
            fill(np.maximum(upper, lower - 0.38 * gap * _PROFILE), lower - 0.4, (70.0, 66.0, 140.0))
        if gap > 1.5:
            fill(upper, np.minimum(upper + min(0.45 * gap, 4.5) * _TEETH, lower), (196.0, 204.0, 208.0))

    def _move(self, still: Frames, head: Array) -> Frames:
        """Shift, turn and scale the head within its surroundings; border and shoulders stay."""
        inverse = np.linalg.inv(head_matrix(head)[:, :2]).astype(np.float32)
        shift = -inverse @ head[:2]
        change = np.column_stack([inverse - np.eye(2, dtype=np.float32), shift]).astype(np.float32)
        maps = self._rest + (change @ self._sway).reshape(self._rest.shape)
        moved: Frames = cv2.remap(still, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return moved


def head_matrix(head: Array) -> Array:
    """Affine matrix (2,3) that takes portrait coordinates to the picture, for one row of Performance.head."""
    turn, scale = np.deg2rad(head[2]), head[3]
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    pivot = np.array([CENTRE_X, 150.0])
    return np.column_stack([linear, pivot - linear @ pivot + head[:2]]).astype(np.float32)


def mouth_opening(part: float, jaw: float) -> tuple[float, float]:
    """Gap between the lips and drop of the chin in pixels, for AU25 and AU26 of 0-5."""
    return 0.75 * part + 1.7 * jaw * min(part / 2.0, 1.0), 1.5 * jaw


def _fields(person: Person, x: Array, y: Array) -> Array:
    """Displacement (11, 2 x pixels) in pixels per unit of what moves the face.

    AU 1, 2, 4, 6, 9, 12, lip gap, chin drop, rounding, gaze x, gaze y.
    """

    def hill(at_x: float, at_y: float, wide: float, high: float) -> Array:
        result: Array = np.exp(-0.5 * (((x - at_x) / wide) ** 2 + ((y - at_y) / high) ** 2))
        return result

    fields = np.zeros((11, 2, y.size, x.size), np.float32)
    below = np.where(y >= person.mouth_y, 1.0, 0.0)
    across = np.clip(abs(x - CENTRE_X) / person.mouth_width, 0.0, 1.0)
    profile = np.sqrt(1.0 - across**2)
    for side in (-1.0, 1.0):
        brow = person.brow_y - 1.0
        fields[0, 1] -= 1.2 * hill(CENTRE_X + side * 11.0, brow, 9.0, 6.5)
        fields[1, 1] -= 1.1 * hill(CENTRE_X + side * 31.0, brow, 9.0, 6.5)
        fields[2, 1] += 0.9 * hill(CENTRE_X + side * 15.0, brow, 12.0, 6.0)
        fields[2, 0] -= 0.6 * side * hill(CENTRE_X + side * 13.0, brow, 9.0, 6.0)
        fields[3, 1] -= 0.7 * hill(CENTRE_X + side * 26.0, 124.0, 11.0, 9.0)
        fields[4, 1] -= 0.7 * hill(CENTRE_X + side * 10.0, person.nose_y - 2.0, 7.0, 7.0)
        fields[5, 0] += 0.8 * side * hill(CENTRE_X + side * person.mouth_width, person.mouth_y, 9.0, 8.0)
        fields[5, 1] -= 0.9 * hill(CENTRE_X + side * (person.mouth_width + 2), person.mouth_y, 8.0, 8.0)
        fields[8, 0] -= 6.0 * side * hill(CENTRE_X + side * person.mouth_width, person.mouth_y, 9.0, 8.0)
        fields[9, 0] += hill(CENTRE_X + side * person.eye_distance, person.eye_y, 5.5, 4.0)
        fields[10, 1] += hill(CENTRE_X + side * person.eye_distance, person.eye_y, 5.5, 3.5)
    fade = np.exp(-0.5 * (np.maximum(abs(y - person.mouth_y) - 5.0, 0.0) / 5.0) ** 2)
    fields[6, 1] = fade * profile * (0.7 * below - 0.3 * (1.0 - below))
    chin = np.clip((y - person.mouth_y) / 14.0, 0.0, 1.0) * np.clip((213.0 - y) / 16.0, 0.0, 1.0)
    fields[7, 1] = chin * np.exp(-0.5 * ((x - CENTRE_X) / 30.0) ** 2)
    return fields.reshape(11, -1)


def _folds(person: Person, x: Array, y: Array) -> Array:
    """Darkening (5, rows, columns) per unit of AU 1 (forehead), 4 (glabella), 6 (eyes), 9 (nose), 12 (cheeks)."""
    folds = np.zeros((5, y.size, x.size), np.float32)
    offset = abs(x - CENTRE_X)
    for line in (-16.0, -10.0):
        folds[0] += 0.035 * np.exp(-0.5 * (((y - person.brow_y - line) / 1.0) ** 2 + (offset / 17.0) ** 2))
    folds[1] = 0.06 * np.exp(-0.5 * (((offset - 3.5) / 1.1) ** 2 + ((y - person.brow_y) / 5.5) ** 2))
    edge = person.eye_distance + person.eye_width + 4.0
    folds[2] = 0.04 * np.exp(-0.5 * (((offset - edge) / 4.0) ** 2 + (((y - person.eye_y) % 4.0 - 2.0) / 0.9) ** 2))
    folds[2] *= np.exp(-0.5 * ((y - person.eye_y) / 5.0) ** 2)
    folds[3] = 0.05 * np.exp(-0.5 * ((offset / 5.0) ** 2 + (((y - person.eye_y) % 5.0 - 2.5) / 0.9) ** 2))
    folds[3] *= np.exp(-0.5 * ((y - person.eye_y - 5.0) / 6.0) ** 2)
    bend = 13.0 + 0.45 * (y - person.nose_y)
    folds[4] = 0.05 * np.exp(-0.5 * (((offset - bend) / 1.6) ** 2 + ((y - person.nose_y - 10.0) / 10.0) ** 2))
    return folds


def _head_weight() -> Array:
    """1 on the head, falling to 0 at shoulders and picture border: what moves with the head."""
    x = np.arange(SIZE, dtype=np.float32)[None, :]
    y = np.arange(SIZE, dtype=np.float32)[:, None]
    distance = np.sqrt(((x - CENTRE_X) / 84.0) ** 2 + ((y - 108.0) / 102.0) ** 2)
    part = np.clip((1.0 - distance) / 0.25, 0.0, 1.0)
    result: Array = part * part * (3.0 - 2.0 * part)
    return result


def _tone(portrait: Frames, y: float, x: float) -> Array:
    """Mean colour of a small patch."""
    row, column = round(y), round(x)
    patch: Array = portrait[row - 1 : row + 2, column - 3 : column + 4].reshape(-1, 3).mean(axis=0).astype(np.float32)
    return patch


def _points(polygon: Array) -> NDArray[np.int32]:
    """Fixed-point coordinates within the bent part."""
    return ((polygon - np.array([_LEFT, _TOP], np.float32)) * (1 << _SHIFT)).round().astype(np.int32)
