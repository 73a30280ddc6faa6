"""The detector's training: both networks learn, and it says what it lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from labelled_faces import write_faces
from portrait_bank import portrait_bank
from tiny_training import SIZE, tiny_config

from vidrestore.errors import DataError, NotAvailableError
from vidrestore.training.config import DetectorStage
from vidrestore.training.detector_data import (
    SceneComposer,
    assign_targets,
    bank_parts,
    build_face_bank,
)
from vidrestore.training.detector_data.scene_data import FaceCrops, SceneBatch
from vidrestore.training.distributed import Distributed
from vidrestore.training.tasks import open_task
from vidrestore.training.tasks.compact_detector import (
    CompactDetectorTask,
    SceneData,
    learning_rate,
    scene_data,
)
from vidrestore.training.tasks.task import Counters


def opened(**changes: Any) -> CompactDetectorTask:
    config = tiny_config("compact_detector", **changes)
    data = SceneData(lambda split: portrait_bank(), [])
    task = open_task(config, data, Distributed("cpu"))
    assert isinstance(task, CompactDetectorTask)
    return task


def totals(task: CompactDetectorTask, batch: Any, steps: int) -> list[float]:
    """The loss of one batch, step after step, behind the rate's warm-up."""
    seen = (Counters(i * 2, i, 0, i * 2) for i in range(1000, 1000 + steps))
    return [sum(float(term.detach()) for term in task.step(batch, at).values()) for at in seen]


SHIPPED_SIZE = {
    "widths": [16, 32, 64, 128, 128, 128],
    "blocks": [1, 2, 2, 1, 1],
    "neck_width": 64,
}


def stage(network: str) -> list[dict[str, Any]]:
    fields = {"network": network, "images": 10**6, "batch_size": 2, "scene_px": 128}
    return [{**fields, "learning_rate": 2e-3, "bfloat16_share": 0}]


def test_the_cells_learn_a_scene() -> None:
    """Twelve steps on one scene lower its loss by half."""
    task = opened(stages=stage("cells"), network=SHIPPED_SIZE)
    composer = SceneComposer(portrait_bank(), [], size_px=128)
    seeds = (np.random.default_rng(seed) for seed in range(20, 120))
    scene = next(s for s in map(composer.compose, seeds) if s.wanted.sum() == 1)
    parts = [torch.from_numpy(part)[None] for part in assign_targets(scene).values()]
    batch = SceneBatch(*(part.repeat_interleave(2, 0) for part in parts))
    found = totals(task, batch, 12)
    assert found[-1] < found[0] / 2


def test_the_refiner_learns_its_crops() -> None:
    task = opened(stages=stage("refiner"), network=SHIPPED_SIZE)
    crops = FaceCrops(SceneComposer(portrait_bank(), [], size_px=128), 5, 30)
    face = next(crops[i] for i in range(30) if (crops[i].state == 1).sum() == 3)
    batch = type(face)(*(part[None] for part in face))
    before = {name: value.clone() for name, value in task.network.stem.state_dict().items()}
    found = totals(task, batch, 12)
    assert found[-1] < found[0] / 2
    for name, value in task.network.stem.state_dict().items():
        assert torch.equal(value, before[name]), name  # The cells are as they were.


def test_a_stage_begins_with_the_average_of_the_one_before() -> None:
    task = opened()
    start, second = task.config.stages[0].images, task.config.stages[1]
    with torch.no_grad():
        for parameter in task.average.parameters():
            parameter.add_(1.0)
    wanted = task.average.stem[0].weight.clone()
    crops = task.stages()[1].samples[0]
    batch = type(crops)(*(part[None] for part in crops))
    task.step(batch, Counters(start, 8, 1, 0))
    torch.testing.assert_close(task.network.stem[0].weight, wanted)
    assert len(task.optimisers["refiner"].state) > 0
    assert second.network == "refiner"


def test_the_rate_rises_and_falls() -> None:
    stage = DetectorStage(network="cells", images=80_000, batch_size=8, learning_rate=1.0)
    rates = [learning_rate(stage, seen) for seen in range(0, 80_000, 8)]
    assert rates[0] == pytest.approx(1 / 500, rel=1e-3)
    assert max(rates) == pytest.approx(0.99, abs=0.02)
    assert np.argmax(rates) == pytest.approx(500, abs=5)
    assert rates[-1] == pytest.approx(0.01, abs=1e-3)
    longer = stage.model_copy(update={"schedule_images": 160_000})
    assert learning_rate(longer, 79_992) == pytest.approx(0.505, abs=0.01)


def test_figures_and_pictures_are_of_held_out_scenes() -> None:
    task = opened(report={"held_out_faces": 3, "sample_faces": 5})
    metrics = task.validate()
    assert {"loss", "cells_score", "refiner_landmark", "false_positive_share"} <= metrics.keys()
    assert metrics == task.validate()
    assert task.sample_grid().shape == (3, 256, 1024)


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Distributed, "n_processes", 2)
    with pytest.raises(DataError, match="one process"):
        opened()


def test_an_absent_teacher_is_named(tmp_path: Path) -> None:
    taught = [{"network": "cells", "images": 2, "batch_size": 2, "use_teacher": True}]
    with pytest.raises(NotAvailableError, match=r"no\.pth.*teacher"):
        opened(stages=taught, teacher=tmp_path / "no.pth")
    task = opened(stages=taught, teacher=tmp_path / "no.pth", when_missing="skip")
    assert task.teacher is None


def test_a_teacher_labels_the_taught_stages_only(shared: Path) -> None:
    stages = [
        {"network": "cells", "images": 2, "batch_size": 2, "use_teacher": taught}
        for taught in (False, True)
    ]
    file = shared / "weights" / "detection_mobilenet0.25_Final.pth"
    first, second = opened(stages=stages, teacher=file).stages()
    assert first.samples.teacher is None
    assert second.samples.teacher is not None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "labels.csv"),
        (b"file,split\na.png,train\n", "box_x0"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_labels_that_scenes_cannot_use_are_named(
    content: bytes | None, words: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(DataError, match=words):
        build_face_bank(tmp_path, "train")


def test_kept_faces_are_those_of_the_same_data(tmp_path: Path) -> None:
    config = tiny_config("compact_detector")
    for name, count in (("few", 1), ("more", 2)):
        (tmp_path / name).mkdir()
        write_faces(tmp_path / name, {"train": count, "val": 1}, size=SIZE)
    kept = tmp_path / "run" / "faces"
    assert len(scene_data(config, tmp_path / "few", kept, 1).faces.pictures) == 3
    made = (kept / "train" / "pictures.npy").stat().st_mtime_ns
    scene_data(config, tmp_path / "few", kept, 1).open()
    assert (kept / "train" / "pictures.npy").stat().st_mtime_ns == made
    assert len(scene_data(config, tmp_path / "more", kept, 1).faces.pictures) == 6
    with pytest.raises(DataError, match="labels"):
        scene_data(config, tmp_path / "none", kept, 1).open()


def test_faces_that_were_made_before_a_stop_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bank_parts, "_FACES", 2)
    config, kept = tiny_config("compact_detector"), tmp_path / "kept"
    write_faces(tmp_path, {"train": 3, "val": 1}, size=SIZE)
    fresh, told = build_face_bank(tmp_path, "train"), list[tuple[int, int]]()

    def stop(done: int, total: int) -> None:
        told.append((done, total))
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scene_data(config, tmp_path, kept, 1, stop).open()
    assert told == [(0, 9), (2, 9), (3, 9), (3, 9), (5, 9)]
    (folder,) = (kept / "train").glob("parts-*")
    assert {file.name for file in folder.iterdir()} == {"read-0.npz", "read-2.npz", "rotated-0.npz"}

    (folder / "read-2.npz").write_bytes(b"PK cut off")  # Is made again; the others are not:
    first = tmp_path / "train_0.png"
    first.write_bytes(bytes(first.stat().st_size))
    whole = scene_data(config, tmp_path, kept, 1).faces
    assert not folder.exists()
    for name in ("pictures", "mattes", "boxes_xyxy", "landmarks"):
        assert np.array_equal(getattr(whole, name), getattr(fresh, name))


def test_parts_of_other_data_are_not_taken(tmp_path: Path) -> None:
    config = tiny_config("compact_detector")
    write_faces(tmp_path, {"train": 2, "val": 1}, size=SIZE)
    old = tmp_path / "kept" / "train" / "parts-0123456789abcdef"
    old.mkdir(parents=True)
    (old / "read-0.npz").write_bytes(b"of other faces")
    assert len(scene_data(config, tmp_path, tmp_path / "kept", 1).faces.pictures) == 6
    assert not old.exists()


def test_terms_can_be_switched_off() -> None:
    metrics = opened(losses={"cells_box": 0, "refiner_score": 0}).validate()
    assert {"cells_score", "cells_landmark", "refiner_landmark"} <= metrics.keys()
    assert not {"cells_box", "refiner_score"} & metrics.keys()
    off = opened(losses={"refiner_landmark": 0, "refiner_score": 0})
    with pytest.raises(DataError, match="every loss term of the refiner"):
        off.validate()


def test_a_number_that_is_none_is_named(tmp_path: Path) -> None:
    write_faces(tmp_path, {"train": 1}, size=64)
    labels = tmp_path / "labels.csv"
    labels.write_text(labels.read_text().replace("30.0", "wide"))
    with pytest.raises(DataError, match=r"labels\.csv.*wide"):
        build_face_bank(tmp_path, "train")
