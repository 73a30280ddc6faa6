"""Training the compact generator: losses, schedule, resuming, exporting."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from labelled_faces import write_faces

import vidrestore
from vidrestore.errors import DataError
from vidrestore.metrics.identity import FaceIdentity
from vidrestore.models.architectures import build
from vidrestore.models.checkpoint import fill, read
from vidrestore.training import generator
from vidrestore.training.generator import Recipe, Stage

RECIPES = Path(vidrestore.__file__).parents[1] / "configs" / "train"
TINY = {"widths": (8, 16), "patch": 4}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("data"), {"train": 3, "val": 1})


def recipe(*images: int, **changes: object) -> Recipe:
    stages = [Stage(n, batch_size=2, window=64, learning_rate=1e-3, **changes) for n in images]
    return Recipe(tuple(stages), network=TINY)


def weights_of(checkpoint: Path) -> dict[str, torch.Tensor]:
    return torch.load(checkpoint, weights_only=True)["average"]


def test_charbonnier_is_a_rounded_absolute_value() -> None:
    x, zero = torch.tensor([3.0, -4.0]), torch.zeros(2)
    assert generator.charbonnier(x, zero).item() == pytest.approx(3.5, abs=1e-5)
    assert generator.charbonnier(zero, zero).item() == pytest.approx(1e-3)


def test_gradient_difference_ignores_a_constant_and_counts_edges() -> None:
    x, y = torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)
    assert generator.gradient_difference(x + 0.3, y).item() == pytest.approx(0, abs=1e-6)
    x[..., 4:] = 1  # A vertical edge: one of 7 differences at one pixel, two of 6 at two.
    wanted = (1 / 7 + 2 / 6) / 4
    assert generator.gradient_difference(x, y).item() == pytest.approx(wanted, abs=1e-5)


def test_the_learning_rate_warms_up_and_falls() -> None:
    stage = Stage(1000, learning_rate=1.0, final_learning_rate=0.1, warmup_images=100)
    rates = [generator.learning_rate(stage, seen) for seen in range(0, 1001, 10)]
    assert rates[0] == pytest.approx(0.01, rel=0.01)
    assert rates.index(max(rates)) == 10
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.1)


def test_the_average_moves_by_its_share() -> None:
    average, network = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    wanted = 0.75 * average.weight + 0.25 * network.weight
    generator.update_average(average, network, 0.75)
    assert torch.allclose(average.weight, wanted)


def test_resuming_goes_on_where_it_stopped(data: Path, tmp_path: Path) -> None:
    in_one = generator.train(recipe(8, 6), data, tmp_path / "one", workers=0)
    stopped = generator.train(recipe(8), data, tmp_path / "two", workers=0)
    before = weights_of(stopped)
    resumed = generator.train(recipe(8, 6), data, tmp_path / "two", resume=True, workers=0)
    after = weights_of(resumed)
    assert any(not torch.equal(before[name], after[name]) for name in before)
    for name, value in weights_of(in_one).items():
        assert torch.equal(value, after[name]), name


def test_loader_processes_do_not_change_the_result(data: Path, tmp_path: Path) -> None:
    own = weights_of(generator.train(recipe(4), data, tmp_path / "own", workers=0))
    other = weights_of(generator.train(recipe(4), data, tmp_path / "other", workers=1))
    assert all(torch.equal(own[name], other[name]) for name in own)


def test_the_log_tells_losses_and_held_out_scores(data: Path, tmp_path: Path) -> None:
    generator.train(recipe(4), data, tmp_path, workers=0)
    line = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert line["images"] == 4
    assert {"pixel", "gradient", "psnr_db", "input_psnr_db", "ssim", "sharpness"} <= set(line)
    assert all(math.isfinite(value) for value in line.values())


def test_a_few_steps_lower_the_loss(data: Path) -> None:
    plan = recipe(1000)
    state = generator.State.fresh(plan)
    stage, losses = plan.stages[0], generator.GeneratorLoss(plan.stages[0])
    generator._set_learning_rate(state.optimiser, stage, 0)
    faces = generator.load_faces(data, "train")
    batch = next(generator._batches(plan, stage, 0, 0, faces, workers=0))
    found = [generator.generator_step(state, batch, losses, plan, stage) for _ in range(25)]
    assert sum(found[-1].values()) < 0.97 * sum(found[0].values())


def test_face_terms_need_their_network_and_whole_crops(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="name the embedding's weights"):
        generator.train(recipe(4, identity_weight=1.0), data, tmp_path)
    with pytest.raises(DataError, match="whole crops"):
        generator.train(
            recipe(4, feature_weight=1.0), data, tmp_path, identity_weights=tmp_path / "absent"
        )


def test_face_terms_vanish_for_the_truth_alone(data: Path, shared: Path) -> None:
    stage = Stage(1, window=512, identity_weight=0.5, feature_weight=2.0)
    losses = generator.GeneratorLoss(stage, FaceIdentity(shared / "weights/mobilefacenet.pt"))
    faces = generator.load_faces(data, "train")
    sample = generator.PairDataset(faces, generator.BlindVideo(), window=512, samples=1)[0]
    batch = generator.Pair(*(part[None] for part in sample))
    at_truth, at_input = losses(batch.truth, batch), losses(batch.degraded, batch)
    assert at_truth["identity"].item() == pytest.approx(0, abs=1e-6)
    assert at_truth["feature"].item() == 0
    assert at_input["identity"] > 1e-5
    assert at_input["feature"] > 1e-3


def test_exported_weights_build_the_same_network(data: Path, tmp_path: Path) -> None:
    checkpoint = generator.train(recipe(4), data, tmp_path, workers=0)
    generator.export(checkpoint, tmp_path / "generator.safetensors")
    saved = read(tmp_path / "generator.safetensors")
    network = build(saved.metadata["arch"], **json.loads(saved.metadata["hyperparameters"]))
    fill(network, saved, arch=saved.metadata["arch"])
    for name, value in weights_of(checkpoint).items():
        assert torch.allclose(network.state_dict()[name], value, rtol=1e-3, atol=1e-6), name


def test_blind_pairs_follow_from_their_index(data: Path) -> None:
    faces, mixture = generator.load_faces(data, "train"), generator.BlindVideo()
    degraded, truth = generator.blind_pair(faces, mixture, 1)
    again, _ = generator.blind_pair(faces, mixture, 1)
    other, _ = generator.blind_pair(faces, mixture, 1, seed=9)
    assert torch.equal(degraded, again)
    assert not torch.equal(degraded, other)
    assert np.allclose((truth.numpy() + 1) * 127.5, faces.images[1].transpose(2, 0, 1), atol=1e-3)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("compact_generator*.yaml")), ids=str)
def test_shipped_recipes_can_be_read(path: Path) -> None:
    plan = Recipe.read(path)
    network = build("CompactUNet", **plan.network)
    assert all(stage.window % network.multiple == 0 for stage in plan.stages)


def test_unknown_keys_of_a_recipe_are_named(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("stages:\n  - {images: 10, batchsize: 4}\n")
    with pytest.raises(DataError, match="batchsize"):
        Recipe.read(tmp_path / "bad.yaml")


def test_stages_start_where_the_last_one_ended(data: Path, tmp_path: Path) -> None:
    plan = recipe(4, 4)
    changed = replace(plan, stages=(plan.stages[0], replace(plan.stages[1], learning_rate=5e-3)))
    first = generator.train(plan, data, tmp_path / "a", workers=0)
    second = generator.train(changed, data, tmp_path / "b", workers=0)
    assert torch.load(first, weights_only=True)["images_seen"] == 8
    assert any(
        not torch.equal(value, weights_of(second)[name])
        for name, value in weights_of(first).items()
    )
