"""A folder of labelled faces for the tests, made from the public-domain portrait."""

from __future__ import annotations

import csv
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np

POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
BOX_512 = {"box_x0": 150, "box_y0": 150, "box_x1": 362, "box_y1": 430}
TEMPLATE_512 = ((193, 240), (319, 240), (257, 314), (201, 371), (313, 371))


def write_faces(folder: Path, counts: dict[str, int], size: int = 512) -> Path:
    """Write `counts[split]` differently toned pictures of `size` pixels for each split."""
    portrait = cv2.imread(str(files("vidrestore") / "demo" / "astronaut.png"))
    assert portrait is not None
    base = cv2.resize(portrait, (size, size), interpolation=cv2.INTER_AREA)
    rows = []
    for split, count in counts.items():
        for index in range(count):
            name = f"{split}_{index}.png"
            cv2.imwrite(str(folder / name), np.uint8(base * (1 - 0.1 * (index % 5))))
            row = {"file": name, "source": "portrait", "split": split}
            row |= {name: str(value * size / 512) for name, value in BOX_512.items()}
            for point, (x, y) in zip(POINTS, TEMPLATE_512, strict=True):
                row |= {f"{point}_x": str(x * size / 512), f"{point}_y": str(y * size / 512)}
            rows.append(row)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return folder
