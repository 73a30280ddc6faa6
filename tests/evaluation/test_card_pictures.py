"""The card's pictures show what its rule says."""

from __future__ import annotations

import numpy as np

from vidrestore.evaluation.card_pictures import detector_sheet, generator_sheet
from vidrestore.models.load import load_detector, load_restorer


def test_sheets_hold_input_answer_and_truth() -> None:
    detector = load_detector("embedded", device="cpu")
    restorer = load_restorer("embedded", device="cpu", precision="float32", batch_size=1)
    sheet = generator_sheet(restorer, detector, draws=1)
    assert sheet.shape == (260, 2 * (3 * 256 + 4), 3)
    given, answer, truth = (sheet[:256, x : x + 256].astype(float) for x in (0, 256, 512))
    assert np.abs(answer - truth).mean() < np.abs(given - truth).mean()
    looks = detector_sheet(detector)
    assert looks.shape == (4 * 260, 4 * 260, 3)
    marked = (looks == (255, 160, 0)).all(-1)
    answered = sum(
        bool(marked[y : y + 256, x : x + 256].any())
        for y in range(0, 1040, 260)
        for x in range(0, 1040, 260)
    )
    assert answered >= 14
