"""A StyleGAN2 of faces (Karras et al., arXiv:1912.04958): the prior that restorers are built on.

Logistic loss, R1 every 16 steps, path length every 4, style mixing; against few data DiffAugment or
ADA. `PriorTask` leaves open how pictures are drawn, and so serves GPEN's prior as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn

from vidrestore.errors import DataError
from vidrestore.metrics.sliced import sliced_wasserstein
from vidrestore.models.nets.stylegan2 import Synthesis
from vidrestore.training.augment import AdaController, AdaptiveAugment, DiffAugment
from vidrestore.training.config import AugmentConfig, GPENConfig, StyleGAN2PriorConfig
from vidrestore.training.data.pairs import Pair, PairDataset, to_network
from vidrestore.training.distributed import Distributed
from vidrestore.training.losses.adversarial import PathLength, lazy_adam, logistic_generator
from vidrestore.training.seeding import SeededDraws
from vidrestore.training.tasks.discriminator import open_stylegan2_discriminator
from vidrestore.training.tasks.task import (
    Counters,
    Data,
    Parts,
    Stage,
    build_network,
    descend,
    frozen,
    keep_share,
    make_average,
    picture_grid,
    set_rate,
    take_every_nth,
    update_average,
)

__all__ = ["PriorTask", "Sampler", "StyleGAN2Sampler", "open_task", "path_length_rows"]


class Sampler(Protocol):
    """Draw pictures from a generator."""

    def __call__(
        self, network: nn.Module, draws: SeededDraws, stream: str
    ) -> tuple[Tensor, Tensor]:
        """Pictures (N, 3, S, S) in [-1, 1], and the latents they were made from.

        Args:
            network: the generator, or its running average.
            draws: of the batch.
            stream: names what is drawn.
        """
        ...


class StyleGAN2Sampler:
    """Draw from `StyleGAN2Generator`, fresh noise for every picture.

    Args:
        mixing_share: share of pictures whose finer layers have a second style.
    """

    def __init__(self, mixing_share: float) -> None:
        self.mixing_share = mixing_share

    def __call__(
        self, network: nn.Module, draws: SeededDraws, stream: str
    ) -> tuple[Tensor, Tensor]:
        """See `Sampler`."""
        assert isinstance(network, Synthesis)
        length = network.get_parameter("style_conv1.modulated_conv.modulation.weight").shape[1]
        count = network.n_latents
        coarse, fine = (
            network.style_mlp(draws.normal(f"{stream} {which} style", (length,)))[:, None]
            for which in ("coarse", "fine")
        )
        lot, place = draws.uniform(f"{stream} mixing", (2,)).unbind(1)
        crossing = 1 + (place * (count - 1)).floor()
        crossing = torch.where(lot < self.mixing_share, crossing, float(count))
        layers = torch.arange(count, device=draws.device)
        latents = torch.where((layers < crossing[:, None])[..., None], coarse, fine)
        shapes = [kept.shape[1:] for kept in network.stored_noise()]
        noise = draws.normals(f"{stream} noise", shapes)
        return network.synthesize(latents, noise=noise), latents


class PriorTask(Parts):
    """Adversarial training of a generator of faces.

    Args:
        config: what to do.
        data: what to learn from.
        distributed: where to run.
        network: what holds the generator, on its device; all of it is kept and averaged.
        generator: the part that learns, `network` itself or a name in it.
        sampler: draws its pictures.
    """

    best_metric: ClassVar[str] = "patch_distance"
    larger_is_better: ClassVar[bool] = False

    def __init__(
        self,
        config: StyleGAN2PriorConfig | GPENConfig,
        data: Data,
        distributed: Distributed,
        network: nn.Module,
        sampler: Sampler,
        generator: str = "",
    ) -> None:
        super().__init__()
        losses = config.losses
        self.config, self.data, self.distributed, self.sampler = config, data, distributed, sampler
        self.network, self.average, self.generator = network, make_average(network), generator
        self.discriminator = open_stylegan2_discriminator(
            config.data.size_px,
            config.discriminator,
            distributed,
            seed=config.seed,
            r1=losses.r1,
            r1_every=losses.r1_every_steps,
        )
        self.path_length = PathLength(losses.path_length, losses.path_length_every_steps)
        self.path_length.to(distributed.device)
        lazy = losses.path_length_every_steps if losses.path_length else 0
        share, betas = lazy_adam(1.0, (0.0, 0.99), lazy)
        learning = list(network.get_submodule(generator).parameters())
        groups = [{"params": learning, "share": share}]
        self.optimiser = torch.optim.Adam(groups, lr=0.0, betas=betas)
        self.augment = Augmentation(config.augment, distributed)
        self.parts = {
            "network": network,
            "average": self.average,
            "optimiser": self.optimiser,
            "discriminator": self.discriminator,
            "path_length": self.path_length,
            "augmentation": self.augment.controller,
        }

    def stages(self) -> Sequence[Stage]:
        """One, of true faces alone."""
        config = self.config
        images = config.steps * config.batch_size
        samples = PairDataset(
            self.data.train,
            None,
            window=config.data.size_px,
            samples=images,
            seed=config.seed,
            gray_share=config.data.gray_share,
            mirror_share=config.data.mirror_share,
        )
        return [Stage(images, config.batch_size, samples)]

    def step(self, batch: Pair, counters: Counters) -> dict[str, Tensor]:
        """The discriminator's step, then the generator's."""
        config, step = self.config, counters.step
        draws = SeededDraws(config.seed, batch.number, self.distributed.device)
        rate = config.schedule.rate_at(step)
        terms = self._discriminator_step(batch.truth, draws, step, rate)
        set_rate(self.optimiser, rate)
        terms |= self._generator_step(draws)
        if self.path_length.due(step):
            terms |= self._path_length_step(draws)
        keep = keep_share(config.batch_size, config.ema_half_life_images, counters.images)
        update_average(self.average, self.network, keep)
        return terms

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Distance of patches between the average's pictures and held-out faces."""
        places = take_every_nth(len(self.data.held_out), self.config.report.held_out_faces)
        truth = [
            to_network((self.data.held_out.face(i)[0] / 255).astype("float32")) for i in places
        ]
        return {
            "patch_distance": sliced_wasserstein(
                self._pictures(len(places)), torch.stack(truth), seed=self.config.seed
            )
        }

    @torch.no_grad()
    def sample_grid(self) -> Tensor:
        """The average's pictures of fixed latents."""
        pictures = self._pictures(self.config.report.sample_faces)
        columns = 4 if len(pictures) % 4 == 0 else 1
        return picture_grid([list(row) for row in torch.split(pictures, columns)])

    def _pictures(self, count: int) -> Tensor:
        """(count, 3, S, S) of the average, always of the same latents, on the CPU."""
        rows = []
        for index in range(count):
            draws = SeededDraws(self.config.seed, torch.tensor([index]), self.distributed.device)
            rows.append(self._sample(self.average, draws, "shown")[0].cpu())
        return torch.cat(rows)

    def _sample(self, network: nn.Module, draws: SeededDraws, stream: str) -> tuple[Tensor, Tensor]:
        with self.distributed.autocast():
            return self.sampler(network.get_submodule(self.generator), draws, stream)

    def _discriminator_step(
        self, truth: Tensor, draws: SeededDraws, step: int, rate: float
    ) -> dict[str, Tensor]:
        with torch.no_grad():
            # "critic" is the stream's name and part of its seed; another word is another training.
            fake = self._sample(self.network, draws, "critic")[0]
            real = self.augment(truth, draws, "real")
            fake = self.augment(fake, draws, "critic")
        terms, logits = self.discriminator.learn(real, fake, step=step, rate=rate)
        self.augment.controller.update(self.distributed.gather(logits))
        return terms | self.augment.metrics()

    def _generator_step(self, draws: SeededDraws) -> dict[str, Tensor]:
        fake = self._sample(self.network, draws, "generator")[0]
        with frozen(self.discriminator.network):
            seen = self.augment(fake, draws, "generator")
            loss = logistic_generator(self.discriminator.judge(seen).logits)
            descend(loss, self.optimiser, self.distributed)
        return {"adversarial": loss}

    def _path_length_step(self, draws: SeededDraws) -> dict[str, Tensor]:
        share = self.config.losses.path_length_batch_share
        some, weight = path_length_rows(draws, share, self.distributed)
        pictures, latents = self._sample(self.network, some, "path")
        noise = some.normal("path direction", pictures.shape[1:])
        loss = weight * self.path_length(
            pictures, latents, noise, average=lambda newest: self.distributed.mean(weight * newest)
        )
        descend(loss, self.optimiser, self.distributed)
        return {"path_length": loss, "path_mean": self.path_length.mean}


class Augmentation:
    """The augmentation of what the discriminator sees, and the control of its strength."""

    def __init__(self, config: AugmentConfig, distributed: Distributed) -> None:
        self.config, self.distributed = config, distributed
        self.controller = AdaController(
            target=config.ada_target,
            images=config.ada_speed_images,
            interval=config.ada_every_steps,
        )
        self._fixed = DiffAugment(tuple(config.policy))
        self._adaptive = AdaptiveAugment(upright=config.upright)

    def __call__(self, pictures: Tensor, draws: SeededDraws, stream: str) -> Tensor:
        """Pictures (N, 3, S, S) as the discriminator is to see them."""
        if self.config.kind == "none":
            return pictures
        generators = draws.generators(f"{stream} augmentation")
        if self.config.kind == "diffaugment":
            return self._fixed(pictures, generators)
        return self._adaptive(pictures, self.controller.probability, generators)

    def metrics(self) -> dict[str, Tensor]:
        """ADA's probability, where it is in use."""
        if self.config.kind != "ada":
            return {}
        return {"ada_probability": torch.tensor(self.controller.probability)}


def path_length_rows(
    draws: SeededDraws, share: float, distributed: Distributed
) -> tuple[SeededDraws, Tensor]:
    """Every so many samples of a batch: the same ones however many processes share it.

    Args:
        draws: of this process's part of the batch.
        share: of the batch.
        distributed: where the other parts are.

    Returns:
        The samples, and the weight, in the mean over the processes, of what is a mean over them: a
        part of a batch with twice as many counts twice, one with none gives a sample that counts
        nothing.
    """
    every = max(1, round(1 / share))
    some = [index for index in draws.indices if index % every == 0]
    own = torch.tensor(float(len(some)), device=draws.device)
    weight = own / distributed.mean(own)
    return SeededDraws(draws.seed, torch.tensor(some or draws.indices[:1]), draws.device), weight


def open_task(config: StyleGAN2PriorConfig, data: Data, distributed: Distributed) -> PriorTask:
    """The task of a configuration."""
    network = build_network(config)
    if not isinstance(network, Synthesis):
        raise DataError(f"task stylegan2_prior: {config.arch} is no StyleGAN2 generator")
    sampler = StyleGAN2Sampler(config.mixing_share)
    return PriorTask(config, data, distributed, network.to(distributed.device), sampler)
