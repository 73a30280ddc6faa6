"""The small generator that ships in the package, in stages.

A stage has its own window, batch, learning rate and loss weights: small windows first, whole crops
later, where the embedding network can look at faces. A stage may be adversarial, with a U-Net
discriminator that judges the fine detail around every pixel beside what it was made from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from vidrestore.degradations import BlindVideo
from vidrestore.errors import DataError, nearest
from vidrestore.luma import tensor_luma
from vidrestore.models.nets.compact_unet import CompactUNet
from vidrestore.models.nets.discriminators import UNetDiscriminator
from vidrestore.training.config import CompactGeneratorConfig, GeneratorStage
from vidrestore.training.data.pairs import BlindDegrade, Degrade, Pair, PairDataset
from vidrestore.training.distributed import Distributed
from vidrestore.training.losses.adversarial import GradientPenalty
from vidrestore.training.losses.detail import (
    grid_distance,
    local_energy_distance,
    stack_octaves,
)
from vidrestore.training.losses.identity import identity_distance
from vidrestore.training.losses.perceptual import (
    IDENTITY_WEIGHTS,
    feature_l1,
    relative_matching,
)
from vidrestore.training.tasks.discriminator import DiscriminatorTrainer
from vidrestore.training.tasks.restorer_task import RestoringTask, identity_network
from vidrestore.training.tasks.task import (
    Counters,
    Data,
    Stage,
    build_discriminator,
    build_network,
    descend,
    frozen,
    keep_share,
    load_weights,
    set_rate,
    update_average,
)

__all__ = [
    "CompactGeneratorTask",
    "charbonnier",
    "gradient_difference",
    "learning_rate",
    "open_task",
]

_CHARBONNIER_EPSILON = 1e-3


class CompactGeneratorTask(RestoringTask):
    """See the module.

    Args:
        config: what to do.
        data: what to learn from.
        distributed: where to run.
        network: `CompactUNet`, or another network that restores whole crops, on its device.
    """

    def __init__(
        self,
        config: CompactGeneratorConfig,
        data: Data,
        distributed: Distributed,
        network: nn.Module,
    ) -> None:
        super().__init__(config, data, distributed, network, BlindDegrade(BlindVideo()))
        self.config = config
        self.mixture = _mixture(config)
        _check_windows(config, network)
        self.identity = None
        if any(stage.embeds_faces for stage in config.stages):
            file = config.weights.identity
            self.identity = identity_network(file, config, distributed, "identity, feature")
        self.optimiser = torch.optim.AdamW(
            network.parameters(), lr=0.0, betas=config.betas, weight_decay=1e-4, fused=True
        )
        self.parts["optimiser"] = self.optimiser
        self.discriminator = None
        if any(stage.is_adversarial for stage in config.stages):
            self.discriminator = DiscriminatorTrainer(
                self._new_discriminator(0)
                .to(distributed.device)
                .to(memory_format=torch.channels_last),
                distributed,
                loss=config.adversarial_loss,
                penalty=GradientPenalty(config.r1, config.r1_every),
                betas=(0.5, 0.99),
            )
            self.parts["discriminator"] = self.discriminator

    def restore(self, network: nn.Module, degraded: Tensor) -> Tensor:
        """Restore whole crops."""
        restored: Tensor = network(_last(degraded))
        return restored

    def stages(self) -> Sequence[Stage]:
        """One a stage."""
        found, start = [], 0
        for stage in self.config.stages:
            start += stage.images
            samples = PairDataset(
                self.data.train,
                self.mixture,
                window=stage.window,
                samples=start,
                seed=self.config.seed,
                gray_share=self.config.data.gray_share,
                mirror_share=self.config.data.mirror_share,
            )
            found.append(Stage(stage.images, stage.batch_size, samples))
        return found

    def step(self, batch: Pair, counters: Counters) -> dict[str, Tensor]:
        """The generator's step, then, in adversarial stages, the discriminator's."""
        stage = self.config.stages[counters.stage]
        set_rate(self.optimiser, learning_rate(stage, counters.stage_images))
        if self.discriminator is not None and stage.new_discriminator and not counters.stage_images:
            made = self._new_discriminator(counters.stage)
            self.discriminator.network.load_state_dict(made.state_dict())
            self.discriminator.optimiser.state.clear()
        with self.distributed.autocast():
            restored = self._forward(batch).float()
        networks = [self.discriminator.network] if self.discriminator is not None else []
        with frozen(*networks):
            terms = self._terms(stage, restored, batch)
            if not terms:
                raise DataError(
                    "configuration: every loss term is switched off; nothing can be learnt"
                )
            total = torch.stack(list(terms.values())).sum()
            descend(total, self.optimiser, self.distributed, most_norm=stage.gradient_clip)
        if self.discriminator is not None and stage.is_adversarial:
            rate = stage.discriminator_learning_rate
            real, fake = (
                self._discriminator_input(batch.truth, batch),
                self._discriminator_input(restored.detach(), batch),
            )
            learnt, _ = self.discriminator.learn(real, fake, step=counters.step, rate=rate)
            terms |= learnt
        keep = keep_share(stage.batch_size, stage.ema_half_life_images, counters.images)
        update_average(self.average, self.network, keep)
        return terms

    def _new_discriminator(self, stage: int) -> UNetDiscriminator:
        settings = {"channels": 6, **self.config.discriminator}
        return build_discriminator(UNetDiscriminator, settings, self.config.seed + 1 + stage)

    def _forward(self, batch: Pair) -> Tensor:
        """Windows bring their coordinates where the network asks for them."""
        degraded = _last(batch.degraded)
        whole = degraded.shape[-1] == self.config.data.size_px
        restored: Tensor = (
            self.network(degraded, batch.coordinates)
            if isinstance(self.network, CompactUNet) and not whole
            else self.network(degraded)
        )
        return restored

    def _terms(self, stage: GeneratorStage, restored: Tensor, batch: Pair) -> dict[str, Tensor]:
        """Terms by name, already weighted; those of weight 0 are not computed."""
        terms = {}
        if stage.pixel_weight:
            terms["pixel"] = stage.pixel_weight * charbonnier(restored, batch.truth)
        if stage.gradient_weight:
            difference = gradient_difference(restored, batch.truth)
            terms["gradient"] = stage.gradient_weight * difference
        if stage.local_energy_weight:
            distance = local_energy_distance(restored, batch.truth)
            terms["local_energy"] = stage.local_energy_weight * distance
        if stage.grid_weight:
            terms["grid"] = stage.grid_weight * grid_distance(restored, batch.truth)
        if self.identity is not None and stage.embeds_faces:
            terms |= self._face_terms(stage, restored, batch)
        if self.discriminator is not None and stage.is_adversarial:
            terms |= self._discriminator_terms(stage, restored, batch)
        return terms

    def _discriminator_input(self, pictures: Tensor, batch: Pair) -> Tensor:
        return _last(stack_octaves(pictures, batch.degraded))

    def _face_terms(
        self, stage: GeneratorStage, restored: Tensor, batch: Pair
    ) -> dict[str, Tensor]:
        assert self.identity is not None
        with torch.no_grad():
            wanted = self.identity(batch.truth, batch.landmarks)
        own = self.identity(restored, batch.landmarks)
        terms = {}
        if stage.identity_weight:
            distance = identity_distance(own["embedding"], wanted["embedding"], "cosine")
            terms["identity"] = stage.identity_weight * distance
        if stage.feature_weight:
            distance = feature_l1(own, wanted, IDENTITY_WEIGHTS, relative=True)
            terms["feature"] = stage.feature_weight * distance
        return terms

    def _discriminator_terms(
        self, stage: GeneratorStage, restored: Tensor, batch: Pair
    ) -> dict[str, Tensor]:
        assert self.discriminator is not None
        matching = bool(stage.feature_matching_weight)
        verdict = self.discriminator.judge(
            self._discriminator_input(restored, batch), with_features=matching
        )
        terms = {}
        if stage.adversarial_weight:
            value = self.discriminator.loss.generator(verdict.logits)
            terms["adversarial"] = stage.adversarial_weight * value
        if matching:
            with torch.no_grad():
                real = self._discriminator_input(batch.truth, batch)
                wanted = self.discriminator.judge(real, with_features=True).features
            distance = relative_matching(verdict.features, wanted)
            terms["feature_matching"] = stage.feature_matching_weight * distance
        return terms


def charbonnier(x: Tensor, y: Tensor) -> Tensor:
    """Mean of ``sqrt((x - y)^2 + e^2)`` with e = 0.001."""
    return torch.sqrt((x - y).square() + _CHARBONNIER_EPSILON**2).mean()


def gradient_difference(x: Tensor, y: Tensor) -> Tensor:
    """L1 between the horizontal and vertical differences of luma, at distances of one and two
    pixels.
    """
    error = tensor_luma(x - y)
    terms = [
        difference.abs().mean()
        for step in (1, 2)
        for difference in (
            error[..., step:, :] - error[..., :-step, :],
            error[..., :, step:] - error[..., :, :-step],
        )
    ]
    return torch.stack(terms).sum() / 4


def learning_rate(stage: GeneratorStage, seen: int) -> float:
    """Rate after ``seen`` images of the stage: linear warm-up, then half a cosine."""
    warmup = min(1.0, (seen + 1) / stage.warmup_images) if stage.warmup_images else 1.0
    wave = 0.5 * (1 + math.cos(math.pi * seen / stage.images))
    final = stage.final_learning_rate
    return warmup * (final + (stage.learning_rate - final) * wave)


def open_task(
    config: CompactGeneratorConfig, data: Data, distributed: Distributed
) -> CompactGeneratorTask:
    """The task of a configuration."""
    network = build_network(config)
    if config.start_from is not None:
        load_weights(network, config.start_from, arch=config.arch)
    network = network.to(distributed.device)
    if isinstance(network, CompactUNet):  # Modulated layers have weights of five dimensions.
        network = network.to(memory_format=torch.channels_last)
    return CompactGeneratorTask(config, data, distributed, network)


def _last(pictures: Tensor) -> Tensor:
    """The same in the memory layout that convolutions like best."""
    return pictures.contiguous(memory_format=torch.channels_last)


def _mixture(config: CompactGeneratorConfig) -> Degrade:
    """The configuration's `BlindVideo`."""
    known = [field.name for field in fields(BlindVideo)]
    for name in config.mixture:
        if name not in known:
            hint = nearest(name, known) or f"; known: {', '.join(known)}"
            raise DataError(f"configuration: mixture: unknown key {name!r}{hint}")
    try:
        return BlindDegrade(TypeAdapter(BlindVideo).validate_python(config.mixture))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["mixture", *(str(part) for part in first["loc"])])
        raise DataError(
            f"configuration: {where}: {first['msg']}, got {first['input']!r}"
        ) from error


def _check_windows(config: CompactGeneratorConfig, network: nn.Module) -> None:
    """Refuse windows that the network or a loss term cannot take."""
    size = config.data.size_px
    for number, stage in enumerate(config.stages):
        where = f"configuration: stages.{number}.window"
        if stage.embeds_faces and stage.window != size:
            raise DataError(f"{where}: identity and feature terms need whole crops of {size} px")
        if not isinstance(network, CompactUNet):
            if stage.window != size:
                raise DataError(f"{where}: {config.arch} takes whole crops of {size} px only")
        elif stage.window % network.multiple:
            raise DataError(f"{where}: {stage.window} is no multiple of {network.multiple}")
