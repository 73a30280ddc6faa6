"""A bank of faces for made-up scenes, from the public-domain portrait."""

from __future__ import annotations

from importlib.resources import files

import cv2
import numpy as np

from vidrestore.training.scenes import BANK_PX, FaceBank, person_matte


def portrait_bank() -> FaceBank:
    """Four copies of the portrait; its face lies about here."""
    picture = cv2.imread(str(files("vidrestore") / "demo" / "astronaut.png"))
    assert picture is not None
    face = cv2.resize(picture, (BANK_PX, BANK_PX), interpolation=cv2.INTER_AREA)[..., ::-1].copy()
    box = np.array([85, 30, 145, 110], np.float32)
    points = np.array([[100, 60], [128, 60], [115, 78], [104, 92], [126, 92]], np.float32)
    matte = person_matte(face, box)
    return FaceBank(*(np.stack([part] * 4) for part in (face, matte, box, points)))
