"""What a training task is to the loop, and what tasks share.

A task owns its networks, running averages and optimisers. The loop gives it batches and counters;
it takes steps, validates, draws sample pictures, and gives and takes its state. All randomness of a
step comes from `vidrestore.training.seeding.SeededDraws` of the batch's sample numbers.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from vidrestore.errors import DataError, NotAvailableError
from vidrestore.models.registry import ARCHITECTURES, build, picture_size
from vidrestore.models.weights.checkpoint import Checkpoint, fill, read
from vidrestore.training.checkpoint import read_checkpoint
from vidrestore.training.config import TrainingConfig
from vidrestore.training.data.faces import FaceSource
from vidrestore.training.distributed import Distributed

__all__ = [
    "Batch",
    "Counters",
    "Data",
    "Part",
    "Parts",
    "Stage",
    "Task",
    "build_discriminator",
    "build_network",
    "build_seeded",
    "descend",
    "frozen",
    "keep_share",
    "load_or_skip",
    "load_weights",
    "make_average",
    "picture_grid",
    "set_rate",
    "take_every_nth",
    "update_average",
]

_logger = logging.getLogger(__name__)
_T = TypeVar("_T")
_N = TypeVar("_N", bound=nn.Module)

_EMA_WARMUP = 0.1
"""A running average never reaches back further than this share of the training so far."""


@dataclass(frozen=True)
class Counters:
    """How far a training is."""

    images: int = 0
    """Images seen before this step."""
    step: int = 0
    """Steps done before this one."""
    stage: int = 0
    """Number of the stage."""
    stage_images: int = 0
    """Images seen of it."""


class Data:
    """What a task learns from, opened when it is first wanted: a fault of a configuration is to be
    found before thousands of pictures are decoded.

    Args:
        open_split: gives the faces of "train" or "val".
    """

    def __init__(self, open_split: Callable[[str], FaceSource]) -> None:
        self._open_split = open_split

    @cached_property
    def train(self) -> FaceSource:
        """The faces to learn from."""
        return self._open_split("train")

    @cached_property
    def held_out(self) -> FaceSource:
        """The faces to be judged by."""
        return self._open_split("val")

    def open(self) -> None:
        """Open both now."""
        _ = self.train, self.held_out


@dataclass(frozen=True)
class Stage:
    """A part of a training with one kind of batch."""

    images: int
    """Whole batches."""
    batch_size: int
    """Over all processes."""
    samples: Dataset[Any]
    """Item ``i`` is the whole training's ``i``-th sample; stacked, a `Batch`."""


class Batch(Protocol):
    """What a stage's samples are when stacked, such as `Pair`."""

    def to(self, device: torch.device) -> Any:
        """The batch on a device."""
        ...


class Task(Protocol):
    """What is trained; see the module.

    Whoever makes one finds all that is wrong with the configuration and its files, and does not
    touch the data.
    """

    @property
    def best_metric(self) -> str:
        """The metric of `validate` by which the best checkpoint is chosen."""
        ...

    larger_is_better: ClassVar[bool]
    """Which way it counts."""

    def stages(self) -> Sequence[Stage]:
        """The stages of the training, in their order."""
        ...

    def step(self, batch: Any, counters: Counters) -> dict[str, Tensor]:
        """Learn from a stage's batch on the run's device; gives the weighted loss terms by
        name.
        """
        ...

    def validate(self) -> dict[str, float]:
        """Metrics of the running average on held-out faces; changes nothing."""
        ...

    def sample_grid(self) -> Tensor:
        """(3, H, W) in [0, 1], pictures to look at; changes nothing."""
        ...

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs, by part; "average" is what is exported."""
        ...

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`."""
        ...


class Part(Protocol):
    """A network, an optimiser, a controller: what has a state."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any: ...


class Parts:
    """The state of a task, put together from its parts' states."""

    def __init__(self) -> None:
        self.parts: dict[str, Part] = {}

    def state(self) -> dict[str, Any]:
        """The parts' states by name."""
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Give each part its state.

        Raises:
            KeyError: a part has none.
        """
        for name, part in self.parts.items():
            part.load_state_dict(state[name])


def build_seeded(make: Callable[[], _T], seed: int) -> _T:
    """Build something with random weights that follow from a seed, whatever was drawn before."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


def build_discriminator(make: Callable[..., _N], arguments: dict[str, Any], seed: int) -> _N:
    """A discriminator with random weights that follow from a seed.

    Raises:
        DataError: it does not take the configuration's arguments.
    """
    try:
        return build_seeded(lambda: make(**arguments), seed)
    except (TypeError, ValueError) as error:
        raise DataError(f"configuration: discriminator: {error}") from error


def make_average(network: _N) -> _N:
    """A copy to hold the running average of a network's weights."""
    return copy.deepcopy(network).eval().requires_grad_(False)


def keep_share(batch_size: int, half_life_images: float, images_seen: int) -> float:
    """Share of a running average that stays in a step: 0.5^(batch / half-life).

    The papers' 0.5^(32 / 10000) a step is a half-life of 312.5 steps. At the start it is shorter,
    so that the average does not hold on to random weights.
    """
    half_life = min(half_life_images, _EMA_WARMUP * (images_seen + batch_size))
    return float(0.5 ** (batch_size / half_life))


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, keep: float) -> None:
    """Move the running average towards the weights, keeping a share ``keep`` of it."""
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - keep)
    for mean, value in zip(average.buffers(), network.buffers(), strict=True):
        mean.copy_(value)


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Inside, gradients go through the networks but not to their weights."""
    learning = [p for network in networks for p in network.parameters() if p.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


def descend(
    loss: Tensor,
    optimiser: torch.optim.Optimizer,
    distributed: Distributed,
    *,
    most_norm: float | None = None,
) -> None:
    """One step of an optimiser down the mean gradient of all processes.

    Args:
        loss: scalar, the mean over this process's part of the batch.
        optimiser: whose parameters move.
        distributed: where the other processes are.
        most_norm: longer gradients are shortened to this.
    """
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    distributed.average_gradients(parameters)
    if most_norm is not None:
        torch.nn.utils.clip_grad_norm_(parameters, most_norm)
    optimiser.step()


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate; a group with a "share" takes that share of it."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("share", 1.0)


def load_or_skip(open_network: Callable[[], _T], term: str, config: TrainingConfig) -> _T | None:
    """Open the network of a loss term; say so where it is not there.

    Args:
        open_network: opens it.
        term: name of the term, for the message.
        config: says whether a term without its network is skipped.

    Returns:
        The network, or None where the term is to be skipped.

    Raises:
        NotAvailableError: it is not there, and the configuration refuses.
    """
    try:
        return open_network()
    except NotAvailableError as error:
        if config.when_missing == "skip":
            _logger.warning("loss term %s is left out: %s", term, error)
            return None
        raise NotAvailableError(
            f"loss term {term}: {error}; or say `when_missing: skip` in the configuration"
        ) from error


def load_weights(network: nn.Module, path: Path, *, arch: str, prefix: str = "") -> None:
    """Fill a network from a weights file or a training checkpoint, whose average counts.

    Args:
        network: what to fill.
        path: `.safetensors`, `.pth`, or what `vidrestore train` wrote.
        arch: name of the network, for messages.
        prefix: take only entries that begin with this, without it.

    Raises:
        VidRestoreError: the file cannot be used.
    """
    try:
        checkpoint = Checkpoint(path, read_checkpoint(path).state["average"])
    except DataError:  # Weights alone, or nothing of ours: then `read` says what is wrong.
        checkpoint = read(path)
    if prefix:
        rest = {
            name.removeprefix(prefix): value
            for name, value in checkpoint.state.items()
            if name.startswith(prefix)
        }
        checkpoint = Checkpoint(path, rest, checkpoint.metadata)
    device = next(network.parameters()).device
    fill(network, checkpoint, arch=arch)
    network.to(device)


def build_network(config: TrainingConfig) -> nn.Module:
    """The network of a configuration, with random weights from its seed.

    Raises:
        DataError: its pictures have another size than the configuration's.
        ModelError: it cannot be built as the configuration asks.
    """
    told = picture_size(config.arch, config.hyperparameters) if config.arch in ARCHITECTURES else ()
    if told and told[1] != config.data.size_px:
        raise DataError(
            f"configuration: network.{told[0]} is {told[1]}, but data.size_px is "
            f"{config.data.size_px}; make them one"
        )
    return build_seeded(lambda: build(config.arch, **config.hyperparameters), config.seed)


def take_every_nth(count: int, most: int) -> list[int]:
    """At most `most` of the numbers below `count`, evenly spread."""
    step = max(1, -(-count // most))
    return list(range(0, count, step))


def picture_grid(rows: Iterable[Sequence[Tensor]]) -> Tensor:
    """Pictures (3, H, W) in [-1, 1], row by row, as one (3, rows H, columns W) in [0, 1]."""
    lines = [torch.cat([picture.float().cpu() for picture in row], 2) for row in rows]
    return ((torch.cat(lines, 1) + 1) / 2).clamp(0, 1)
