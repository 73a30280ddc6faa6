"""The embedded detector: its grids, its decoding, and what its weights find."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from clips import face_frames
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from vidrestore.geometry import box_iou
from vidrestore.models.detectors.compact import CompactFaceDetector
from vidrestore.models.detectors.suppression import detections_from_candidates
from vidrestore.models.interfaces import FaceDetector
from vidrestore.models.load import load_detector
from vidrestore.models.nets.compact_detector import CompactDetector, cell_centres, fold_batch_norms
from vidrestore.models.runners.backends import Backend
from vidrestore.models.weights.checkpoint import fill, read

WEIGHTS = Path(str(files("vidrestore.models") / "embedded" / "detector.safetensors"))


@pytest.fixture(scope="module")
def detector() -> CompactFaceDetector:
    network = CompactDetector()
    fill(network, read(WEIGHTS), arch="CompactDetector")
    return CompactFaceDetector(network)


@pytest.fixture(scope="module")
def astronaut() -> Tensor:
    """The public-domain portrait, (3, H, W) RGB in [0, 1]."""
    picture = cv2.imread(str(files("vidrestore") / "demo" / "astronaut.png"))
    assert picture is not None
    return torch.from_numpy(picture[..., ::-1].copy()).permute(2, 0, 1).float() / 255


def boxes(count: int) -> st.SearchStrategy[np.ndarray]:
    """(count, 4) boxes with sides of 1 to 100 px."""
    corner = hnp.arrays(np.float32, (count, 2), elements=st.floats(0, 100, width=32))
    side = hnp.arrays(np.float32, (count, 2), elements=st.floats(1, 100, width=32))
    return st.tuples(corner, side).map(lambda parts: np.concatenate([parts[0], sum(parts)], 1))


def test_every_cell_lies_at_the_centre_of_its_pixels() -> None:
    cells = cell_centres(128, 64)
    assert len(cells) == 16 * 8 + 8 * 4 + 4 * 2 + 2
    first, last = cells[0], cells[-1]
    assert first.tolist() == [np.mean(range(8)), np.mean(range(8)), 8]
    assert last.tolist() == [np.mean(range(64)), np.mean(range(64, 128)), 64]


def test_answers_move_with_the_picture() -> None:
    torch.manual_seed(0)
    network = fold_batch_norms(CompactDetector())
    picture = torch.rand(1, 3, 448, 448)
    whole = network(picture)
    part = network(picture[..., 64:, 64:])
    grid = cell_centres(448, 448)[: 56 * 56].view(56, 56, 3)
    assert torch.equal(grid[8, 8, :2] - 64, cell_centres(384, 384)[0, :2])
    middle = (slice(44, 46), slice(44, 46))
    one = whole.landmarks[0, : 56 * 56].view(56, 56, 10)[middle]
    two = part.landmarks[0, : 48 * 48].view(48, 48, 10)[36:38, 36:38]
    torch.testing.assert_close(one - 64, two, atol=0.5, rtol=0)


def test_folding_changes_nothing() -> None:
    torch.manual_seed(0)
    network = CompactDetector().train()
    pictures = torch.rand(2, 3, 128, 192)
    for _ in range(3):
        network(pictures)
    network.eval()
    with torch.no_grad():
        for plain, folded in zip(
            network(pictures), fold_batch_norms(network)(pictures), strict=True
        ):
            torch.testing.assert_close(plain, folded, atol=2e-3, rtol=1e-4)


@settings(deadline=None)
@given(boxes(12), hnp.arrays(np.float32, 12, elements=st.floats(0, 1, width=32)))
def test_suppression_keeps_the_best_and_no_close_pair(box: np.ndarray, scores: np.ndarray) -> None:
    landmarks = torch.zeros(12, 5, 2)
    found = detections_from_candidates(
        torch.from_numpy(scores), torch.from_numpy(box), landmarks, 0.5, 0.4
    )
    assert (np.diff(found.scores) <= 0).all()
    assert (found.scores >= 0.5).all()
    assert len(found) == 0 or found.scores[0] == scores.max()
    close = box_iou(found.boxes_xyxy, found.boxes_xyxy) > 0.4
    assert not (close & ~np.eye(len(found), dtype=bool)).any()
    assert {tuple(b) for b in found.boxes_xyxy} <= {tuple(b) for b in box}
    if (scores >= 0.5).any():
        assert len(found) > 0


def test_averaging_weighs_candidates_by_squared_score() -> None:
    scores = torch.tensor([0.9, 0.6])
    box = torch.tensor([[0.0, 0, 10, 10], [1.0, 0, 11, 10]])
    found = detections_from_candidates(scores, box, torch.zeros(2, 5, 2), 0.5, 0.4, average=True)
    assert len(found) == 1
    np.testing.assert_allclose(found.boxes_xyxy[0, 0], 0.36 / (0.36 + 0.81), rtol=1e-5)


def test_the_file_is_small_and_names_its_network() -> None:
    assert WEIGHTS.stat().st_size <= 2 * 2**20
    assert read(WEIGHTS).metadata["arch"] == "CompactDetector"


@pytest.mark.parametrize("size_px", [128, 256, 512])
def test_finds_the_astronaut(
    detector: CompactFaceDetector, astronaut: Tensor, size_px: int
) -> None:
    scale = size_px / max(astronaut.shape[1:])
    image = torch.nn.functional.interpolate(astronaut[None], scale_factor=scale, mode="area")
    (found,) = detector(image)
    assert isinstance(detector, FaceDetector)
    assert len(found) == 1
    left_eye, right_eye, nose, left_mouth, right_mouth = found.landmarks[0]
    x0, y0, x1, y1 = found.boxes_xyxy[0]
    assert x0 < left_eye[0] < nose[0] < right_eye[0] < x1
    assert y0 < left_eye[1] < nose[1] < left_mouth[1] < y1
    assert left_mouth[0] < right_mouth[0]


def test_one_picture_or_many_give_the_same(
    detector: CompactFaceDetector, astronaut: Tensor
) -> None:
    images = torch.stack([astronaut, astronaut.flip(2), torch.zeros_like(astronaut)])
    together = detector(images)
    assert [len(found) for found in together] == [1, 1, 0]
    alone = detector(images[1:2])[0]
    np.testing.assert_allclose(together[1].boxes_xyxy, alone.boxes_xyxy, atol=0.05)
    np.testing.assert_allclose(together[1].landmarks, alone.landmarks, atol=0.05)


@pytest.mark.parametrize("size", [(1, 1), (63, 65), (130, 20)])
def test_any_size_is_taken(detector: CompactFaceDetector, size: tuple[int, int]) -> None:
    (found,) = detector(torch.full((1, 3, *size), 0.4))
    assert found.boxes_xyxy.shape == (len(found), 4)
    assert found.landmarks.shape == (len(found), 5, 2)


@pytest.mark.soak
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino", "compiled"])
def test_every_backend_finds_the_faces_that_torch_finds(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend != "compiled":
        pytest.importorskip(backend)
    monkeypatch.setenv("VIDRESTORE_HOME", str(tmp_path))
    scene = torch.from_numpy(face_frames(1)[0]).permute(2, 0, 1)[None] / 255
    eager, other = (
        load_detector("embedded", device="cpu", backend=one) for one in ("eager", backend)
    )
    assert other.facts.backend == backend  # type: ignore[attr-defined]
    for images in (scene, scene[..., :200], scene.expand(2, -1, -1, -1)):
        for found, wanted in zip(other(images), eager(images), strict=True):
            assert len(found) == len(wanted)
            np.testing.assert_allclose(found.landmarks, wanted.landmarks, atol=0.01)
            np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-4)
