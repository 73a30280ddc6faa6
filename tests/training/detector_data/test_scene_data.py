"""Samples of the detector's two looks."""

from __future__ import annotations

import numpy as np
import torch
from portrait_bank import portrait_bank

from vidrestore.models.nets.compact_detector import REFINER_PX, refiner_crops, refiner_frames
from vidrestore.training.detector_data import MAX_FACES, Scene, SceneComposer
from vidrestore.training.detector_data.scene_data import FaceCrops, WholeScenes, jitter


def test_crops_for_the_refiner_stand_upright() -> None:
    """A face turned by a quarter: in its crop the eyes are above the mouth, the nose is central."""
    picture = torch.zeros(3, 128, 128)
    upright = torch.tensor([[50.0, 50], [78, 50], [64, 66], [53, 82], [75, 82]])
    turned = torch.stack([127 - upright[:, 1], upright[:, 0]], 1)
    x, y = turned[2].long()
    picture[:, y - 1 : y + 2, x - 1 : x + 2] = 1.0
    frames = refiner_frames(torch.tensor([[30.0, 40, 100, 90]]), turned[None])
    crop = refiner_crops(picture, frames)[0, 0]
    inverse = torch.linalg.inv(frames[0, :, :2])
    points = (turned - frames[0, :, 2]) @ inverse.T
    assert (points[:2, 1] < points[2, 1]).all()
    assert (points[3:, 1] > points[2, 1]).all()
    assert points[0, 0] < points[1, 0]
    row, column = divmod(int(crop.argmax()), REFINER_PX)
    assert abs(column - points[2, 0]) <= 1.5
    assert abs(row - points[2, 1]) <= 1.5


def test_landmarks_of_training_crops_lie_on_the_face() -> None:
    """Half of the kept faces have their landmarks centred within eight pixels of the crop."""
    crops = FaceCrops(SceneComposer(portrait_bank(), [], size_px=128), 5, 30)
    faces = [
        points
        for item in (crops[i] for i in range(30))
        for points, state in zip(item.landmarks, item.state, strict=True)
        if state == 1
    ]
    states = torch.cat([crops[i].state for i in range(30)])
    assert {0, 1} <= set(states.tolist())
    distance = (torch.stack(faces).mean(1) - (REFINER_PX - 1) / 2).norm(dim=1)
    assert distance.median() < 8


def test_what_is_off_one_face_and_on_another_is_not_called_no_face() -> None:
    first = np.array([[40, 45], [60, 45], [50, 55], [42, 66], [58, 66]], np.float32)
    boxes = np.array([[25, 25, 75, 81], [65, 20, 115, 76]], np.float32)
    points = np.stack([first, first + np.float32([40, -5])])
    scene = Scene(np.zeros((128, 128, 3), np.uint8), boxes, points, np.ones(2, bool))
    state = np.ones(2000, np.int64)
    frames = jitter(np.random.default_rng(1), scene, state).numpy()
    places = frames @ np.array([(REFINER_PX - 1) / 2, (REFINER_PX - 1) / 2, 1.0])
    upright = frames[:, 0, 0] > 0.6 * 53 * 1.6 / REFINER_PX  # Neither turned away nor a part.
    on_second = ((places > boxes[1, :2]) & (places < boxes[1, 2:])).all(1) & upright
    assert (state[on_second] == -1).sum() > 5
    assert not (state[on_second] == 0).any()
    assert (state[~on_second] == 0).sum() > 100


def test_a_scene_follows_from_its_number() -> None:
    scenes = WholeScenes(SceneComposer(portrait_bank(), [], size_px=128), 3, 10)
    one, again, other = scenes[4], scenes[4], scenes[5]
    assert all(torch.equal(*parts) for parts in zip(one, again, strict=True))
    assert not torch.equal(one.pictures, other.pictures)
    assert one.pictures.shape == (3, 128, 128)
    assert one.boxes.shape == (MAX_FACES, 4)
