#!/usr/bin/env python3
"""Saves what training's crop preparation makes of a picture, for `crates/face/tests/fixtures/head_crop.safetensors`.

The rule, in OpenCV: a similarity from crop units to the frame, drawn bilinearly at once (up to 1.05 frame pixels a
crop pixel) or at a whole multiple of the size and averaged (`INTER_AREA`). `crates/face/src/crop` must do the same.

    pip install opencv-python safetensors numpy
    python tools/convert/head_crop_fixture.py
"""

from pathlib import Path

import cv2
import numpy as np
from safetensors.numpy import load_file, save_file

FIXTURES = Path(__file__).resolve().parents[2] / "crates/face/tests/fixtures"
CROP = 256


def crop_frame(frame, placement):
    a, b, tx, ty = placement
    scale = np.hypot(a, b) / CROP
    over = 1 if scale <= 1.05 else int(np.ceil(scale))
    n = CROP * over
    matrix = np.array([[a / n, -b / n, tx + 0.5 * (a - b) / n - 0.5], [b / n, a / n, ty + 0.5 * (a + b) / n - 0.5]])
    out = cv2.warpAffine(frame, matrix, (n, n), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE)
    return out if over == 1 else cv2.resize(out, (CROP, CROP), interpolation=cv2.INTER_AREA)


def main():
    # The drawn face of the networks' fixture, every pixel four times as large.
    frame = np.kron(load_file(FIXTURES / "networks.safetensors")["input.0"], np.ones((4, 4, 1), np.uint8))
    fixture = {}
    for i, (side, angle, x, y) in enumerate([(200, 0.1, 250, 300), (430, -0.2, 120, 260), (700, 0.0, -60, 90)]):
        placement = np.array([side * np.cos(angle), side * np.sin(angle), x, y])
        fixture[f"{i}.placement"] = placement
        # Every fourth pixel in both directions, from the second on.
        fixture[f"{i}.crop"] = np.ascontiguousarray(crop_frame(frame, placement)[1::4, 1::4])
    save_file(fixture, FIXTURES / "head_crop.safetensors")


if __name__ == "__main__":
    main()
