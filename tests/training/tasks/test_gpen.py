"""GPEN's training: what the path length is of, what is black-and-white, in which stage."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from labelled_faces import write_faces
from tiny_training import SIZE, tiny_config
from torch import Tensor

from vidrestore.degradations import load_recipe
from vidrestore.models.nets.gpen import GPENFullGenerator
from vidrestore.training.data.faces import load_faces
from vidrestore.training.data.pairs import Pair
from vidrestore.training.distributed import Distributed
from vidrestore.training.seeding import SeededDraws
from vidrestore.training.tasks import open_task
from vidrestore.training.tasks.gpen import sample_decoder
from vidrestore.training.tasks.task import Counters, Data

STILL = {"schedule": {"learning_rate": 0.0}, "losses": {"identity": 0}, "batch_size": 2}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder = write_faces(tmp_path_factory.mktemp("faces"), {"train": 3, "val": 1}, size=SIZE)
    return Data(partial(load_faces, folder, size=SIZE))


def opened(faces: Data, **changes: Any) -> Any:
    return open_task(tiny_config("gpen", **{**STILL, **changes}), faces, Distributed("cpu"))


def batch_of(task: Any) -> Pair:
    samples = task.stages()[0].samples
    return Pair(*(torch.stack(parts) for parts in zip(samples[0], samples[1], strict=True)))


def layer_lengths(network: GPENFullGenerator, degraded: Tensor, y: Tensor) -> Tensor:
    """(layers,) |J^T y| of each layer's own latent, by differences of two pictures."""
    generator, step = network.generator, 0.02
    latents, features = network.encode(degraded)
    shape = (generator.n_latents, latents.shape[1])
    moves = step * torch.eye(shape[0] * shape[1]).view(-1, *shape)
    features = [one.expand(len(moves), -1, -1, -1) for one in features]
    ahead, behind = (generator(latents[:, None] + sign * moves, features) for sign in (1, -1))
    slopes = ((ahead - behind) * y).sum((1, 2, 3)).view(shape) / (2 * step)
    return slopes.norm(dim=1)


def test_the_path_length_is_the_root_mean_square_over_the_layers(data: Data) -> None:
    task = opened(data, network={"style_dim": 4})
    for name, parameter in task.network.named_parameters():
        if name.endswith("noise.weight"):
            torch.nn.init.constant_(parameter, 0.3)
    batch = batch_of(task)
    terms = task.step(batch, Counters())
    found = float(terms["path_mean"]) / task.path_length.decay
    draws = SeededDraws(
        task.config.seed, torch.tensor([0]), torch.device("cpu")
    )  # The batch's half.
    with torch.no_grad():
        y = draws.normal("path direction", (3, SIZE, SIZE)) / SIZE
        lengths = layer_lengths(task.network, batch.degraded[:1], y)
    assert found == pytest.approx(float(lengths.square().mean().sqrt()), rel=0.02)


def test_the_priors_paths_are_those_of_each_layers_latent(data: Data) -> None:
    task = opened(data, stage="prior", losses={})
    generator = task.network.generator
    draws = SeededDraws(0, torch.tensor([0, 1]), torch.device("cpu"))
    pictures, latents = sample_decoder(generator, draws, "path")
    assert latents.shape == (2, generator.n_latents, 16)
    (slopes,) = torch.autograd.grad(pictures.square().sum(), latents)
    assert (slopes.norm(dim=(0, 2)) > 0).all()


def gray(pictures: Tensor) -> list[bool]:
    return [bool((picture.std(0) < 1e-5).all()) for picture in pictures]


def test_input_and_truth_are_gray_together_and_only_where_faces_are_restored(data: Data) -> None:
    assert "black_and_white" not in {step.name for step in load_recipe("gpen").steps}
    config = {"data": {"size_px": SIZE}, "degradation": "super_resolution_x4", "steps": 30}
    [stage] = opened(data, **config).stages()
    pairs = [stage.samples[index] for index in range(60)]
    degraded, truth = (gray(torch.stack(part)) for part in list(zip(*pairs, strict=True))[:2])
    assert degraded == truth
    assert 0.08 < sum(truth) / len(truth) < 0.35
    [stage] = opened(data, stage="prior", **config).stages()
    assert not any(gray(torch.stack([stage.samples[index].truth for index in range(30)])))


def test_the_degradations_lengths_are_for_512_px(data: Data) -> None:
    task = opened(data, degradation="gpen")
    assert task.degrade.recipe.steps[0].sigma_px.high == 10 * SIZE / 512
