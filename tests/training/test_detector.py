"""Training the detector: which cell learns what, losses, resuming, exporting."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from torchvision.ops import box_iou, generalized_box_iou

from vidrestore.errors import DataError
from vidrestore.models.checkpoint import fill, read
from vidrestore.models.detector import (
    REFINER_PX,
    CompactDetector,
    cell_centres,
    refiner_crops,
    refiner_frames,
)
from vidrestore.training.detector import (
    DetectorRecipe,
    assign_cells,
    box_overlap,
    detection_losses,
    export_weights,
    train_detector,
)
from vidrestore.training.detector_refiner import FaceCrops, RefinerRecipe
from vidrestore.training.detector_run import DetectorPlan, run_plan, with_teacher
from vidrestore.training.scenes import BANK_PX, FaceBank, SceneMaker, person_matte


@pytest.fixture(scope="session")
def bank() -> FaceBank:
    """Four copies of the public-domain portrait; its face lies about here."""
    picture = cv2.imread(str(files("vidrestore") / "demo" / "astronaut.png"))
    assert picture is not None
    face = cv2.resize(picture, (BANK_PX, BANK_PX), interpolation=cv2.INTER_AREA)[..., ::-1].copy()
    box = np.array([85, 30, 145, 110], np.float32)
    points = np.array([[100, 60], [128, 60], [115, 78], [104, 92], [126, 92]], np.float32)
    matte = person_matte(face, box)
    return FaceBank(*(np.stack([part] * 4) for part in (face, matte, box, points)))


def test_a_face_is_learnt_at_its_centre_by_grids_of_its_size() -> None:
    cells = cell_centres(256, 256)
    boxes = torch.tensor([[[88.0, 78, 148, 158], [0, 0, 0, 0]]])
    owner, ignored = assign_cells(cells, boxes, torch.tensor([[1, -1]]))
    mine = cells[owner[0] == 0]
    assert set(mine[:, 2].tolist()) == {16.0, 32.0}
    assert ((mine[:, :2] - torch.tensor([118.0, 118.0])).abs() < 1.5 * mine[:, 2:]).all()
    assert not ignored.any()


def test_what_is_to_be_ignored_is_neither_learnt_nor_punished() -> None:
    cells = cell_centres(128, 128)
    boxes, state = torch.tensor([[[30.0, 30, 90, 90]]]), torch.tensor([[0]])
    owner, ignored = assign_cells(cells, boxes, state)
    assert (owner == -1).all()
    torch.manual_seed(0)
    answers = CompactDetector().eval()(torch.rand(1, 3, 128, 128))
    loud = answers._replace(logits=torch.where(ignored, 9.0, -20.0))
    losses = detection_losses(loud, cells, boxes, torch.zeros(1, 1, 5, 2), state)
    assert losses["score"] < 1e-3


def test_overlap_agrees_with_torchvision() -> None:
    torch.manual_seed(0)
    one, two = (torch.rand(50, 4) * 50 for _ in range(2))
    one[:, 2:] += one[:, :2] + 1
    two[:, 2:] += two[:, :2] + 1
    iou, giou = box_overlap(one, two)
    torch.testing.assert_close(iou, box_iou(one, two).diagonal())
    torch.testing.assert_close(giou, generalized_box_iou(one, two).diagonal())


def recipe(folder: Path, n_scenes: int, **more: object) -> DetectorRecipe:
    return DetectorRecipe(
        faces=folder, out=folder, scene_px=128, batch_size=2, n_scenes=n_scenes, n_workers=0,
        checkpoint_every=2, bfloat16_until=0.0, **more,
    )  # fmt: skip


def test_a_resumed_run_equals_an_unbroken_one(
    tmp_path: Path, bank: FaceBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("whole", "broken"):
        bank.save(tmp_path / name / "bank")
    whole = torch.load(train_detector(recipe(tmp_path / "whole", 8)), weights_only=True)
    from vidrestore.training import detector as module

    batches = module._batches
    monkeypatch.setattr(
        module, "_batches", lambda *a: (b for b, _ in zip(batches(*a), range(2), strict=False))
    )
    train_detector(recipe(tmp_path / "broken", 8))
    monkeypatch.undo()
    resumed = torch.load(train_detector(recipe(tmp_path / "broken", 8)), weights_only=True)
    assert whole["seen"] == resumed["seen"] == 8
    for name, value in whole["network"].items():
        assert torch.equal(value, resumed["network"][name]), name
    for name, value in whole["average"].items():
        assert torch.equal(value, resumed["average"][name]), name


def test_exported_weights_fill_the_network(tmp_path: Path, bank: FaceBank) -> None:
    bank.save(tmp_path / "bank")
    checkpoint = train_detector(recipe(tmp_path, 4))
    destination = tmp_path / "detector.safetensors"
    export_weights(checkpoint, destination)
    network = CompactDetector()
    fill(network, read(destination), arch="CompactDetector")
    average = torch.load(checkpoint, weights_only=True)["average"]
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, average[name], rtol=1e-3, atol=2e-3)


def test_a_step_learns(bank: FaceBank, tmp_path: Path) -> None:
    """Twelve steps on one scene lower its loss by half."""
    from vidrestore.training.detector import LOSS_WEIGHTS, train_step
    from vidrestore.training.scenes import scene_targets

    maker = SceneMaker(bank, [], size_px=128)
    seeds = (np.random.default_rng(seed) for seed in range(20, 120))
    scene = next(s for s in map(maker.make, seeds) if s.wanted.sum() == 1)
    batch = {
        name: torch.from_numpy(value)[None].repeat_interleave(2, 0)
        for name, value in scene_targets(scene).items()
    }
    torch.manual_seed(0)
    network = CompactDetector()
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3)
    cells = cell_centres(128, 128)
    totals = [
        sum(LOSS_WEIGHTS[name] * value for name, value in losses.items())
        for losses in (
            train_step(network, optimiser, batch, cells, bfloat16=False) for _ in range(12)
        )
    ]
    assert totals[-1] < totals[0] / 2


def test_crops_for_the_second_look_stand_upright() -> None:
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


def test_landmarks_of_training_crops_lie_on_the_face(bank: FaceBank) -> None:
    """Half of the kept faces have their landmarks centred within eight pixels of the crop."""
    crops = FaceCrops(SceneMaker(bank, [], size_px=128), 5, 30)
    faces = [
        points
        for item in (crops[i] for i in range(30))
        for points, state in zip(item["landmarks"], item["state"], strict=True)
        if state == 1
    ]
    states = torch.cat([crops[i]["state"] for i in range(30)])
    assert {0, 1} <= set(states.tolist())
    distance = (torch.stack(faces).mean(1) - (REFINER_PX - 1) / 2).norm(dim=1)
    assert distance.median() < 8


def test_a_plan_ends_with_a_file_that_fills_the_network(tmp_path: Path, bank: FaceBank) -> None:
    for name in ("detector-1", "detector-2", "refiner-1"):
        bank.save(tmp_path / name / "bank")
    stage = {"scene_px": 128, "batch_size": 2, "n_workers": 0, "bfloat16_until": 0.0}
    plan = DetectorPlan(
        faces=tmp_path,
        out=tmp_path,
        detector=({**stage, "n_scenes": 100, "stop_at": 2}, {**stage, "n_scenes": 2}),
        refiner=({"n_scenes": 4, "batch_scenes": 2, "n_workers": 0},),
    )
    network = CompactDetector()
    fill(network, read(run_plan(plan)), arch="CompactDetector")
    refiner = torch.load(tmp_path / "refiner-1" / "done.pt", weights_only=True)["average"]
    for name, value in network.refiner.state_dict().items():
        torch.testing.assert_close(value, refiner[name], rtol=1e-3, atol=2e-3)


def test_the_shipped_plan_is_readable() -> None:
    path = Path(__file__).parents[2] / "configs" / "train" / "compact_detector.yaml"
    fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    plan = DetectorPlan(**fields, teacher=Path("retinaface.pth"))
    for stage in plan.detector:
        DetectorRecipe(faces=plan.faces, out=plan.out, **with_teacher(plan, stage))
    for stage in plan.refiner:
        RefinerRecipe(faces=plan.faces, out=plan.out, **with_teacher(plan, stage))
    with pytest.raises(DataError, match="teacher="):
        run_plan(DetectorPlan(**{**fields, "detector": [{"taught": True}], "refiner": []}))
