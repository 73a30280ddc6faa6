"""GPEN (Yang et al., arXiv:2105.06070), in its two stages.

`prior`: the decoder alone learns to draw faces as a StyleGAN2 does, with noise concatenated where
the encoder's features will be. `embedded`: it becomes the decoder of the whole, which learns to
restore, the encoder faster than the decoder. A checkpoint of either stage holds the whole network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.errors import DataError
from vidrestore.models.nets.gpen import Generator, GPENFullGenerator
from vidrestore.training.config import GPENConfig
from vidrestore.training.data.pairs import Pair
from vidrestore.training.distributed import Distributed
from vidrestore.training.losses.adversarial import PathLength, lazy_adam, logistic_generator
from vidrestore.training.losses.feature_matching import feature_matching
from vidrestore.training.losses.identity import identity_loss
from vidrestore.training.seeding import SeededDraws
from vidrestore.training.tasks.discriminator import open_stylegan2_discriminator
from vidrestore.training.tasks.restorer_task import (
    RestoringTask,
    identity_network,
    named_degradation,
    whole_faces,
)
from vidrestore.training.tasks.stylegan2_prior import PriorTask, path_length_rows
from vidrestore.training.tasks.task import (
    Counters,
    Data,
    Stage,
    Task,
    build_network,
    descend,
    frozen,
    keep_share,
    load_weights,
    set_rate,
    update_average,
)

__all__ = ["GPENTask", "open_task", "sample_decoder"]


def sample_decoder(network: nn.Module, draws: SeededDraws, stream: str) -> tuple[Tensor, Tensor]:
    """Pictures of GPEN's decoder from random latents, noise in place of features; a `Sampler`."""
    assert isinstance(network, Generator)
    names = ("conv1", *(f"convs.{2 * level}" for level in range(len(network.to_rgbs))))
    widths = [network.get_parameter(f"{name}.conv.weight").shape[1] for name in names]
    sizes = [(width, 4 * 2**level, 4 * 2**level) for level, width in enumerate(widths)]
    length = network.get_parameter("conv1.conv.modulation.weight").shape[1]
    latents = _for_each_layer(network, network.style(draws.normal(f"{stream} style", (length,))))
    pictures: Tensor = network(latents, draws.normals(f"{stream} noise", sizes))
    return pictures, latents


def _for_each_layer(network: Generator, latents: Tensor) -> Tensor:
    """Latents (N, D) as (N, L, D): the lengths of paths are those of each layer's own latent, root
    mean square over the layers, as in StyleGAN2; one latent for all would add the layers up.
    """
    return latents[:, None].expand(-1, network.n_latents, -1)


class GPENTask(RestoringTask):
    """The second stage; see the module.

    Args:
        config: what to do.
        data: what to learn from.
        distributed: where to run.
        network: the network, on its device.
    """

    def __init__(
        self, config: GPENConfig, data: Data, distributed: Distributed, network: GPENFullGenerator
    ) -> None:
        self.degrade = named_degradation(config.degradation, config.data.size_px)
        super().__init__(config, data, distributed, network, self.degrade)
        losses = config.losses
        self.config, self.losses, self.gpen = config, losses, network
        self.identity = (
            identity_network(config.weights.identity, config, distributed, "identity")
            if losses.identity
            else None
        )
        self.path_length = PathLength(losses.path_length, losses.path_length_every_steps)
        self.path_length.to(distributed.device)
        self.optimiser = _optimiser(config, network)
        self.parts |= {"optimiser": self.optimiser, "path_length": self.path_length}
        self.discriminator = None
        if losses.adversarial or losses.feature_matching:
            self.discriminator = open_stylegan2_discriminator(
                config.data.size_px,
                config.discriminator,
                distributed,
                seed=config.seed,
                r1=losses.r1,
                r1_every=losses.r1_every_steps,
                share=config.discriminator_rate,
            )
            self.parts["discriminator"] = self.discriminator

    def stages(self) -> Sequence[Stage]:
        """One, of whole degraded faces."""
        return whole_faces(self.config, self.data, self.degrade)

    def step(self, batch: Pair, counters: Counters) -> dict[str, Tensor]:
        """The discriminator's step, then the generator's."""
        config, step = self.config, counters.step
        rate = config.schedule.rate_at(step)
        terms: dict[str, Tensor] = {}
        if self.discriminator is not None:
            with torch.no_grad():
                restored = self._restore(batch.degraded)[0]
            terms |= self.discriminator.learn(batch.truth, restored, step=step, rate=rate)[0]
        set_rate(self.optimiser, rate)
        terms |= self._generator_step(batch)
        if self.path_length.due(step):
            terms |= self._path_length_step(batch)
        keep = keep_share(config.batch_size, config.ema_half_life_images, counters.images)
        update_average(self.average, self.network, keep)
        return terms

    def _restore(self, degraded: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures and the latents they were made from, (N, layers, D)."""
        with self.distributed.autocast():
            latents, features = self.gpen.encode(degraded)
            latents = _for_each_layer(self.gpen.generator, latents)
            return self.gpen.generator(latents, features), latents

    def _generator_step(self, batch: Pair) -> dict[str, Tensor]:
        with frozen(*([self.discriminator.network] if self.discriminator else [])):
            terms = self._terms(self._restore(batch.degraded)[0], batch)
            if not terms:
                raise DataError(
                    "configuration: every loss term is switched off; nothing can be learnt"
                )
            descend(torch.stack(list(terms.values())).sum(), self.optimiser, self.distributed)
        return terms

    def _terms(self, restored: Tensor, batch: Pair) -> dict[str, Tensor]:
        losses, terms = self.losses, dict[str, Tensor]()
        if losses.pixel:
            terms["pixel"] = losses.pixel * F.smooth_l1_loss(restored, batch.truth)
        if self.identity is not None:
            distance = identity_loss(
                self.identity, restored, batch.truth, batch.landmarks, losses.identity_distance
            )
            terms["identity"] = losses.identity * distance
        if self.discriminator is None:
            return terms
        verdict = self.discriminator.judge(restored, with_features=bool(losses.feature_matching))
        if losses.adversarial:
            terms["adversarial"] = losses.adversarial * logistic_generator(verdict.logits)
        if losses.feature_matching:
            with torch.no_grad():
                wanted = self.discriminator.judge(batch.truth, with_features=True).features
            distance = feature_matching(verdict.features, wanted)
            terms["feature_matching"] = losses.feature_matching * distance
        return terms

    def _path_length_step(self, batch: Pair) -> dict[str, Tensor]:
        draws = SeededDraws(self.config.seed, batch.number, self.distributed.device)
        share = self.losses.path_length_batch_share
        some, weight = path_length_rows(draws, share, self.distributed)
        rows = [draws.indices.index(index) for index in some.indices]
        pictures, latents = self._restore(batch.degraded[rows])
        noise = some.normal("path direction", pictures.shape[1:])
        loss = weight * self.path_length(
            pictures, latents, noise, average=lambda newest: self.distributed.mean(weight * newest)
        )
        descend(loss, self.optimiser, self.distributed)
        return {"path_length": loss, "path_mean": self.path_length.mean}


def _optimiser(config: GPENConfig, network: GPENFullGenerator) -> torch.optim.Optimizer:
    """Adam with a group each for the encoder and the decoder."""
    losses = config.losses
    lazy = losses.path_length_every_steps if losses.path_length else 0
    share, betas = lazy_adam(1.0, (0.0, 0.99), lazy)
    decoder = list(network.generator.parameters())
    within = {id(parameter) for parameter in decoder}
    encoder = [p for p in network.parameters() if id(p) not in within]
    groups: list[dict[str, Any]] = [
        {"params": encoder, "share": share * config.encoder_rate},
        {"params": decoder, "share": share * config.decoder_rate},
    ]
    return torch.optim.Adam(groups, lr=0.0, betas=betas)


def open_task(config: GPENConfig, data: Data, distributed: Distributed) -> Task:
    """The task of a configuration's stage."""
    network = build_network(config)
    if not isinstance(network, GPENFullGenerator):
        raise DataError(f"task gpen: {config.arch} is no GPEN")
    if config.prior is not None:
        load_weights(network.generator, config.prior, arch=config.arch, prefix="generator.")
    network.to(distributed.device)
    if config.stage == "prior":
        # Gray samples are for those who restore; a prior is not to draw gray faces.
        coloured = config.data.model_copy(update={"gray_share": 0.0})
        config = config.model_copy(update={"data": coloured})
        return PriorTask(config, data, distributed, network, sample_decoder, "generator")
    return GPENTask(config, data, distributed, network)
