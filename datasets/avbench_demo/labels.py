"""The columns of what is known of the demo speakers, frame by frame: names and thresholds.

Nothing here imports numpy, so that declaring them is quick.
"""

from __future__ import annotations

PHONEME_NAMES = (
    *("sil", "a", "ae", "e", "i", "o", "u", "uh", "m", "n", "w", "l"),
    *("r", "s", "z", "sh", "f", "v", "h", "p", "b", "t", "d", "k"),
)
PITCHES = tuple(round(85.0 * 4.0 ** (step / 11)) for step in range(12))  # Hz: 85 to 340 in equal steps of log
MOVES = (0.004, 0.015, 0.06)  # octaves from one frame to the next

SPEECH = (
    *PHONEME_NAMES,
    "voiced",
    *(f"pitch_over_{hertz}" for hertz in PITCHES),
    *(f"pitch_moved_{octaves}" for octaves in MOVES),
)

# Quantities of a face and the thresholds they are to exceed. The head's shift counts four times, once a direction, in
# pixels of a picture of 224. lips_move is the standard deviation of AU25 + AU26 over the nine frames around.
SHIFTS = ("left", "right", "up", "down")
THRESHOLDS = {
    "AU25": (0.5, 1.0, 2.0, 3.0, 4.0),
    "AU26": (0.5, 1.0, 2.0, 3.0, 4.0),
    "rounding": (0.3, 0.6),
    "lips_move": (0.35, 0.7, 1.2, 1.8, 2.4),
    "AU12": (1.0,),
    "AU1": (1.0,),
    "blink": (0.5,),
    **dict.fromkeys(SHIFTS, (1.0, 3.0, 6.0)),
}
LIPS = tuple(f"{name}_over_{least:g}" for name, thresholds in THRESHOLDS.items() for least in thresholds)
