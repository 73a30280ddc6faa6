"""Several processes that share each batch are one with the whole batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gloo_gradients import gradients, gradients_of_two
from labelled_faces import write_faces
from tiny_training import SIZE, tiny_config

from vidrestore.training.config import TrainingConfig
from vidrestore.training.distributed import Distributed

STEPS = 3  # Lazy terms on the first and the third.


def still(task: str, identity: Path, **changes: Any) -> TrainingConfig:
    """A configuration of batches of four that does not move, so that no step's rounding enters the
    next one.
    """
    common = {"batch_size": 4, "schedule": {"learning_rate": 0.0}}
    if task == "stylegan2_prior" or changes.get("stage") == "prior":
        common["augment"] = {"kind": "ada"}
    if task == "compact_generator":
        terms = ("identity", "feature", "adversarial", "feature_matching")
        stage = {"images": 40, "batch_size": 4, "window": SIZE, "learning_rate": 0.0}
        stage |= {"final_learning_rate": 0.0, "discriminator_learning_rate": 0.0}
        stage |= {f"{term}_weight": 0.1 for term in terms}
        common = {"stages": [stage], "precision": "float32"}
    else:
        lazy = {"r1_every_steps": 2}
        common["losses"] = lazy if task == "gfpgan" else {**lazy, "path_length_every_steps": 2}
    if task == "gpen":  # The embedding of noise sits on kinks; GFP-GAN and the compact one have it.
        common["losses"]["identity"] = 0.0
    return tiny_config(task, identity, **(common | changes))


@pytest.mark.parametrize(
    "places", [[1], pytest.param([0, 2, 3, 4, 5, 6], marks=pytest.mark.soak)], ids=str
)
def test_two_processes_give_the_gradients_of_one(
    places: list[int], shared: Path, tmp_path: Path
) -> None:
    identity = shared / "weights" / "mobilefacenet.pt"
    data = write_faces(tmp_path, {"train": 3, "val": 1}, size=SIZE)
    configs = [
        still("stylegan2_prior", identity),
        still("gfpgan", identity),
        still("gpen", identity),
        still("gpen", identity, stage="prior"),
        still("compact_generator", identity),
        still("stylegan2_prior", identity, batch_size=6),  # Path lengths of two rows and of one.
        still("gpen", identity, batch_size=6),
    ]
    distributed = Distributed("cpu")
    # Generator, discriminator, and what is lazy or by the component discriminators.
    numbers = [2 * 3 + 4, 3 * 3 + 2, 2 * 3 + 4, 2 * 3 + 4, 2 * 3, 2 * 3 + 4, 2 * 3 + 4]
    configs, numbers = ([one[place] for place in places] for one in (configs, numbers))
    found = gradients_of_two(configs, data, STEPS, tmp_path / "gradients.pt")
    for config, shared_out, count in zip(configs, found, numbers, strict=True):
        alone = gradients(config, data, STEPS, distributed)
        assert len(alone) == len(shared_out) == count
        for step, (one, two) in enumerate(zip(alone, shared_out, strict=True)):
            distance = (one - two).norm() / one.norm()
            assert one.norm() > 0
            assert distance <= 1e-5, (config.task, step)


def test_a_batch_is_shared_evenly_or_not_at_all() -> None:
    from vidrestore.errors import DataError
    from vidrestore.training.data.batches import batches

    with pytest.raises(DataError, match="take a batch size that is a multiple"):
        batches([], 0, 12, 6, n_processes=4)
