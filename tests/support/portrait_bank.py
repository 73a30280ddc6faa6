"""A bank of faces for made-up scenes, from the public-domain portrait."""

from __future__ import annotations

from importlib.resources import files

import cv2
import numpy as np

from vidrestore.training.detector_data import BANK_PX, FaceBank, person_matte


def portrait_bank() -> FaceBank:
    """Four copies of the portrait; its face lies where RetinaFace sees it."""
    picture = cv2.imread(str(files("vidrestore") / "demo" / "astronaut.png"))
    assert picture is not None
    face = cv2.resize(picture, (BANK_PX, BANK_PX), interpolation=cv2.INTER_AREA)[..., ::-1].copy()
    box = np.array([94, 44, 164, 135], np.float32)
    points = np.array([[112, 76], [145, 78], [127, 98], [111, 106], [144, 108]], np.float32)
    matte = person_matte(face, box)
    return FaceBank(*(np.stack([part] * 4) for part in (face, matte, box, points)))
