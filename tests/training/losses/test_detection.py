"""What the detector learns by: which cell learns which face, and what is not punished."""

from __future__ import annotations

import numpy as np
import torch
from torchvision.ops import generalized_box_iou

from vidrestore.geometry import box_iou
from vidrestore.models.nets.compact_detector import (
    REFINER_PX,
    CompactDetector,
    RefinerAnswers,
    cell_centres,
)
from vidrestore.training.losses.detection import (
    assign_cells,
    cell_losses,
    paired_box_iou,
    refiner_losses,
)


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
    losses = cell_losses(loud, cells, boxes, torch.zeros(1, 1, 5, 2), state)
    assert losses["score"] < 1e-3


def test_overlap_agrees_with_numpy_and_torchvision() -> None:
    torch.manual_seed(0)
    one, two = (torch.rand(50, 4) * 50 for _ in range(2))
    one[:, 2:] += one[:, :2] + 1
    two[:, 2:] += two[:, :2] + 1
    iou, giou = paired_box_iou(one, two)
    np.testing.assert_allclose(iou, box_iou(one, two).diagonal(), atol=1e-6)
    torch.testing.assert_close(giou, generalized_box_iou(one, two).diagonal())


def sure_maps(places: torch.Tensor) -> torch.Tensor:
    """Maps of 20 x 20 with all probability in the cells of (K, 5, 2) places."""
    maps = torch.full((*places.shape[:2], 20, 20), -30.0)
    column, row = ((places + 0.5) / (REFINER_PX / 20)).long().unbind(2)
    for face in range(len(places)):
        maps[face, torch.arange(5), row[face], column[face]] = 30.0
    return maps


def test_the_refiner_is_right_where_its_maps_are() -> None:
    eyes, nose, mouth = [[51.5, 59.5], [107.5, 59.5]], [83.5, 83.5], [[59.5, 107.5], [99.5, 107.5]]
    places = torch.tensor([[*eyes, nose, *mouth]])
    sure, face = torch.tensor([20.0]), torch.tensor([1])
    right, aside = (
        refiner_losses(RefinerAnswers(sure, seen, sure_maps(seen)), places, face)
        for seen in (places, places + 8)
    )
    assert right["score"] < 1e-6
    assert aside["landmark"] - right["landmark"] > 0.08  # 8 of 100 px, both ways


def test_crops_that_nobody_judges_cost_nothing() -> None:
    answers = RefinerAnswers(
        torch.tensor([5.0, -5.0]), torch.ones(2, 5, 2), torch.zeros(2, 5, 20, 20)
    )
    losses = refiner_losses(answers, torch.zeros(2, 5, 2), torch.tensor([-1, -1]))
    assert losses["score"] == 0
    assert losses["landmark"] == 0
