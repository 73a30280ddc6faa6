"""The compact generator's losses and steps."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from labelled_faces import write_faces
from tiny_training import tiny_config

from vidrestore.errors import DataError
from vidrestore.training.data.faces import load_faces
from vidrestore.training.data.pairs import Pair
from vidrestore.training.distributed import Distributed
from vidrestore.training.losses.perceptual import relative_matching
from vidrestore.training.tasks import open_task
from vidrestore.training.tasks.compact_generator import (
    CompactGeneratorTask,
    charbonnier,
    gradient_difference,
)
from vidrestore.training.tasks.task import Counters, Data, update_average


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder = write_faces(tmp_path_factory.mktemp("data"), {"train": 2, "val": 1}, size=128)
    return Data(partial(load_faces, folder, size=128))


def task_of(data: Data, identity: Path | None = None, **stage: object) -> CompactGeneratorTask:
    stages = [{"images": 100, "batch_size": 2, "window": 128, "learning_rate": 1e-3, **stage}]
    config = tiny_config("compact_generator", identity, data={"size_px": 128}, stages=stages)
    task = open_task(config, data, Distributed("cpu"))
    assert isinstance(task, CompactGeneratorTask)
    return task


def first_batch(task: CompactGeneratorTask) -> Pair:
    samples = [task.stages()[0].samples[i] for i in range(2)]
    return Pair(*(torch.stack(parts) for parts in zip(*samples, strict=True)))


def test_charbonnier_is_a_rounded_absolute_value() -> None:
    x, zero = torch.tensor([3.0, -4.0]), torch.zeros(2)
    assert charbonnier(x, zero).item() == pytest.approx(3.5, abs=1e-5)
    assert charbonnier(zero, zero).item() == pytest.approx(1e-3)


def test_gradient_difference_ignores_a_constant_and_counts_edges() -> None:
    x, y = torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)
    assert gradient_difference(x + 0.3, y).item() == pytest.approx(0, abs=1e-6)
    x[..., 4:] = 1  # A vertical edge: one of 7 differences at one pixel, two of 6 at two.
    wanted = (1 / 7 + 2 / 6) / 4
    assert gradient_difference(x, y).item() == pytest.approx(wanted, abs=1e-5)


def test_matching_does_not_depend_on_the_scale_of_layers() -> None:
    x, y = torch.rand(2, 4, 8, 8), torch.rand(2, 4, 8, 8)
    assert relative_matching([y], [y]).item() == 0
    one, both = relative_matching([x], [y]), relative_matching([x, 9 * x], [y, 9 * y])
    assert both.item() == pytest.approx(one.item(), rel=1e-5)


def test_the_average_moves_by_its_share() -> None:
    average, network = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    wanted = 0.75 * average.weight + 0.25 * network.weight
    update_average(average, network, 0.75)
    assert torch.allclose(average.weight, wanted)


def test_a_few_steps_lower_the_loss(data: Data) -> None:
    task = task_of(data, learning_rate=3e-3, gradient_clip=10.0)
    batch = first_batch(task)
    batch = batch._replace(degraded=0.7 * batch.truth)
    found = [sum(task.step(batch, Counters()).values()).item() for _ in range(12)]
    assert found[-1] < 0.97 * found[0]


def test_face_terms_vanish_for_the_truth_alone(data: Data, shared: Path) -> None:
    weights = shared / "weights/mobilefacenet.pt"
    task = task_of(data, weights, identity_weight=0.5, feature_weight=2.0)
    batch, stage = first_batch(task), task.config.stages[0]
    at_truth = task._face_terms(stage, batch.truth, batch)
    at_input = task._face_terms(stage, batch.degraded, batch)
    assert at_truth["identity"].item() == pytest.approx(0, abs=1e-6)
    assert at_truth["feature"].item() == 0
    assert at_input["identity"] > 1e-5
    assert at_input["feature"] > 1e-3


def test_the_discriminator_learns_to_tell(data: Data) -> None:
    task = task_of(data, adversarial_weight=1e-4, discriminator_learning_rate=3e-3)
    batch = first_batch(task)
    found = [task.step(batch, Counters())["discriminator"].item() for _ in range(12)]
    assert found[-1] < found[0]


def test_other_networks_take_whole_crops_only(data: Data) -> None:
    network = {"arch": "GFPGANv1Clean", "out_size": 128, "narrow": 0.03125, "num_style_feat": 8}
    stage = {"images": 2, "batch_size": 2, "window": 64}
    config = tiny_config("compact_generator", stages=[stage], data={"size_px": 128})
    config = config.model_copy(update={"network": network})
    with pytest.raises(DataError, match="whole crops of 128 px only"):
        open_task(config, data, Distributed("cpu"))


def test_a_narrow_gfpgan_learns_by_the_same_losses(data: Data) -> None:
    network = {"arch": "GFPGANv1Clean", "out_size": 128, "narrow": 0.03125, "num_style_feat": 8}
    stage = {"images": 100, "batch_size": 2, "window": 128, "learning_rate": 3e-3}
    config = tiny_config("compact_generator", stages=[stage], data={"size_px": 128})
    config = config.model_copy(update={"network": network})
    task = open_task(config, data, Distributed("cpu"))
    assert isinstance(task, CompactGeneratorTask)
    batch = first_batch(task)
    found = [sum(task.step(batch, Counters()).values()).item() for _ in range(6)]
    assert found[-1] < found[0]


ADVERSARIAL = {"images": 2, "batch_size": 2, "window": 16, "adversarial_weight": 0.1}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mixture": {"nearly_clear": 0.1}}, "nearly_clear.*did you mean 'nearly_clean'"),
        ({"mixture": {"crf": 5}}, r"mixture\.crf: .*got 5"),
        ({"mixture": {"nearly_clean": "abc"}}, r"mixture\.nearly_clean: .*got 'abc'"),
        ({"mixture": {"crf": [40, 20]}}, r"crf: \[40, 20\] is no range"),
        ({"mixture": {"jpeg_share": 1.5}}, "jpeg_share: must lie in 0 to 1, not 1.5"),
        ({"mixture": {"sigma_px": [1, float("inf")]}}, r"sigma_px: \[1.0, inf\] is no range"),
        ({"mixture": {"frames": [2, 10**9]}}, r"frames: \[2, 1000000000\] is no range"),
        ({"discriminator": {"foo": 1}, "stages": [ADVERSARIAL]}, "discriminator: .*foo"),
    ],
)
def test_fields_that_do_not_fit_are_named(changes: Any, words: str, data: Data) -> None:
    config = tiny_config("compact_generator", **changes)
    with pytest.raises(DataError, match=words):
        open_task(config, data, Distributed("cpu"))


def test_a_stage_may_begin_with_a_new_discriminator(data: Data) -> None:
    stages = [ADVERSARIAL, ADVERSARIAL | {"new_discriminator": True}]
    task = open_task(tiny_config("compact_generator", stages=stages), data, Distributed("cpu"))
    assert isinstance(task, CompactGeneratorTask)
    assert task.discriminator is not None
    before = [p.clone() for p in task.discriminator.network.parameters()]
    task.step(first_batch(task), Counters())
    learnt = [p.clone() for p in task.discriminator.network.parameters()]
    moved = max(float((a - b).abs().max()) for a, b in zip(before, learnt, strict=True))
    task.step(first_batch(task), Counters(2, 1, 1, 0))
    anew = [p.clone() for p in task.discriminator.network.parameters()]
    apart = max(float((a - b).abs().max()) for a, b in zip(learnt, anew, strict=True))
    assert apart > 10 * moved
