"""What restoring tasks share: how held-out faces are degraded, and which checkpoint is best."""

from __future__ import annotations

import dataclasses
import logging
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from labelled_faces import write_faces
from tiny_training import SIZE, tiny_config
from torch import Tensor

from vidrestore.errors import NotAvailableError
from vidrestore.models.nets.mobilefacenet import MobileFaceNet
from vidrestore.training.checkpoint import read_checkpoint, write_checkpoint
from vidrestore.training.data.faces import open_faces
from vidrestore.training.distributed import Distributed
from vidrestore.training.tasks import open_task
from vidrestore.training.tasks.restorer_task import RestoringTask, named_degradation
from vidrestore.training.tasks.task import Data
from vidrestore.training.train import train

JITTER = "steps:\n  - colour_shift: {red: 0.1, green: 0.1, blue: 0.1}\n"
ONE_STAGE = [{"images": 4, "batch_size": 2, "window": 16}]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("data"), {"train": 2, "val": 1}, size=SIZE)


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedding with drawn weights; nothing here depends on them."""
    path = tmp_path_factory.mktemp("weights") / "mobilefacenet.pt"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(MobileFaceNet().state_dict(), path)
    return path


@pytest.fixture(autouse=True)
def _empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDRESTORE_HOME", str(tmp_path / "home"))


def task_of(data: Path, **changes: Any) -> RestoringTask:
    config = tiny_config(**changes)
    faces = Data(partial(open_faces, data, size=SIZE))
    task = open_task(config, faces, Distributed("cpu", "float32"))
    assert isinstance(task, RestoringTask)
    return task


@pytest.mark.parametrize("task", ["gfpgan", "gpen"])
def test_held_out_faces_keep_their_colours(
    task: str, data: Path, identity: Path, tmp_path: Path
) -> None:
    jitter = tmp_path / "jitter.yaml"
    jitter.write_text(JITTER, encoding="utf-8")
    found = task_of(data, task=task, identity=identity, degradation=str(jitter))
    face = np.full((SIZE, SIZE, 3), 0.5, np.float32)
    trained_on = named_degradation(str(jitter), SIZE)(face, np.random.default_rng(0))
    assert np.abs(trained_on - face).max() > 0.02
    degraded, _, truth = found.sample_grid().split(SIZE, dim=2)
    assert torch.equal(degraded, truth)


class Fixed(torch.nn.Module):
    """A network whose answer does not depend on what it is given."""

    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, degraded: Tensor) -> Tensor:
        return self.answer


def blurred(picture: Tensor) -> Tensor:
    return torch.nn.functional.avg_pool2d(picture, 3, 1, 1, count_include_pad=False)


def test_a_sharper_face_is_better_though_less_like_the_truth(data: Path, identity: Path) -> None:
    task = task_of(data, task="compact_generator", identity=identity)
    truth = torch.from_numpy(task.data.held_out.face(0)[0]).permute(2, 0, 1)[None] / 127.5 - 1
    soft = blurred(truth)
    sharp = (truth + truth.roll(1, 3)) / 2  # All detail is there, half a pixel off.
    sharp = sharp + 0.5 * (sharp - blurred(sharp))
    metrics = []
    for answer in (soft, sharp, truth):
        task.average = Fixed(answer)
        metrics.append(task.validate())
    assert metrics[0]["psnr_db"] > metrics[1]["psnr_db"]
    assert metrics[0]["score"] < metrics[1]["score"] < metrics[2]["score"]
    assert metrics[2]["score"] == pytest.approx(1, abs=1e-4)
    assert metrics[2]["identity"] == pytest.approx(1, abs=1e-4)
    assert task.best_metric == "score"


def test_the_best_checkpoint_is_that_of_the_score(
    data: Path, identity: Path, tmp_path: Path
) -> None:
    config = tiny_config("compact_generator", identity, stages=ONE_STAGE)
    train(config, data, tmp_path / "run")
    found = read_checkpoint(tmp_path / "run" / "best.pt")
    assert found.best == found.metrics["score"]


def test_without_the_embedding_the_score_bears_another_name(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        train(tiny_config("compact_generator", stages=ONE_STAGE), data, tmp_path / "run")
    assert "identity has no part in the score: not available: mobilefacenet.pt" in caplog.text
    found = read_checkpoint(tmp_path / "run" / "best.pt")
    assert found.best == found.metrics["score_without_identity"]
    assert "identity" not in found.metrics
    named = tiny_config("compact_generator", tmp_path / "no.pt", stages=ONE_STAGE)
    with pytest.raises(NotAvailableError, match=r"no\.pt"):
        train(named, data, tmp_path / "other")


def test_a_best_of_another_figure_does_not_count(
    data: Path, identity: Path, tmp_path: Path
) -> None:
    """A training that chose by PSNR goes on: 30 dB are no score that is never reached again."""
    config = tiny_config("compact_generator", identity, stages=ONE_STAGE)
    last = train(config, data, tmp_path, stop_at_step=1)
    before = read_checkpoint(last)
    write_checkpoint(last, dataclasses.replace(before, best=30.0, metrics={"psnr_db": 30.0}))
    train(config, data, tmp_path, resume=True)
    found = read_checkpoint(tmp_path / "best.pt")
    assert found.images == 4 and found.best == found.metrics["score"]
