"""GFP-GAN (Wang et al., arXiv:2101.04061): a U-Net that steers a StyleGAN2 prior.

The generator learns by pixels, by the U-Net's own pictures (until they are removed), by perceptual
and style features, by a StyleGAN2 discriminator with lazy R1, by one small discriminator for each
eye and the mouth with the style of their features, and by who the face is.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.errors import DataError, NotAvailableError
from vidrestore.models.layers.resample import halve
from vidrestore.models.nets.discriminators import ComponentDiscriminators, Verdict
from vidrestore.models.nets.gfpgan import GFPGAN
from vidrestore.training.config import GFPGANConfig
from vidrestore.training.data.pairs import Pair
from vidrestore.training.distributed import Distributed
from vidrestore.training.losses.adversarial import logistic_generator
from vidrestore.training.losses.components import (
    component_discriminator,
    component_generator,
    component_style,
    cut_regions,
)
from vidrestore.training.losses.identity import (
    UNIT_LENGTH_SCALE,
    identity_distance,
    open_arcface,
)
from vidrestore.training.losses.perceptual import (
    IDENTITY_WEIGHTS,
    VGG19,
    VGG19_WEIGHTS,
    ArcFaceFeatures,
    IdentityFeatures,
    Vgg19Features,
    feature_l1,
    relative_matching,
    weights_file,
)
from vidrestore.training.losses.style import style_l1
from vidrestore.training.seeding import SeededDraws
from vidrestore.training.tasks.discriminator import open_stylegan2_discriminator
from vidrestore.training.tasks.restorer_task import (
    RestoringTask,
    identity_network,
    named_degradation,
    whole_faces,
)
from vidrestore.training.tasks.task import (
    Counters,
    Data,
    Stage,
    build_network,
    build_seeded,
    descend,
    frozen,
    keep_share,
    load_or_skip,
    load_weights,
    set_rate,
    update_average,
)

__all__ = ["GFPGANTask", "open_task"]

_Terms = dict[str, Tensor]
_logger = logging.getLogger(__name__)


class GFPGANTask(RestoringTask):
    """See the module.

    Args:
        config: what to do.
        data: what to learn from.
        distributed: where to run.
        network: the network, on its device.
    """

    def __init__(
        self, config: GFPGANConfig, data: Data, distributed: Distributed, network: GFPGAN
    ) -> None:
        self.degrade = named_degradation(config.degradation, config.data.size_px)
        super().__init__(config, data, distributed, network, self.degrade)
        self.config, self.losses, self.gfpgan = config, config.losses, network
        self._open_features()
        network.stylegan_decoder.requires_grad_(config.train_decoder)
        learning = [p for p in network.parameters() if p.requires_grad]
        self.optimiser = torch.optim.Adam(learning, lr=0.0, betas=(0.0, 0.99))
        self.parts["optimiser"] = self.optimiser
        losses, self.discriminator, self.components = config.losses, None, None
        if losses.adversarial:
            self.discriminator = open_stylegan2_discriminator(
                config.data.size_px,
                config.discriminator,
                distributed,
                seed=config.seed,
                r1=losses.r1,
                r1_every=losses.r1_every_steps,
            )
            self.parts["discriminator"] = self.discriminator
        if losses.component_adversarial or losses.component_style:
            width = config.component_width
            made = build_seeded(lambda: ComponentDiscriminators(width), config.seed + 2)
            self.components = made.to(distributed.device)
            self.component_optimiser = torch.optim.Adam(
                self.components.parameters(), lr=0.0, betas=(0.9, 0.99)
            )
            self.parts["components"] = self.components
            self.parts["component_optimiser"] = self.component_optimiser

    def stages(self) -> Sequence[Stage]:
        """One, of whole degraded faces."""
        return whole_faces(self.config, self.data, self.degrade)

    def step(self, batch: Pair, counters: Counters) -> _Terms:
        """The generator's step, then the discriminators' on the same pictures."""
        config, step = self.config, counters.step
        rate = config.schedule.rate_at(step)
        set_rate(self.optimiser, rate)
        terms, restored = self._generator_step(batch, counters)
        if self.discriminator is not None:
            terms |= self.discriminator.learn(batch.truth, restored, step=step, rate=rate)[0]
        if self.components is not None:
            set_rate(self.component_optimiser, rate)
            terms |= self._components_step(batch, restored)
        keep = keep_share(config.batch_size, config.ema_half_life_images, counters.images)
        update_average(self.average, self.network, keep)
        return terms

    def _generator_step(self, batch: Pair, counters: Counters) -> tuple[_Terms, Tensor]:
        draws = SeededDraws(self.config.seed, batch.number, self.distributed.device)
        decoder = self.gfpgan.stylegan_decoder
        noise = draws.normals("noise", [kept.shape[1:] for kept in decoder.stored_noise()])
        wants_pyramid = self.losses.pyramid and counters.step < self.losses.pyramid_until_step
        with self.distributed.autocast():
            encoding = self.gfpgan.encode(batch.degraded)
            restored = self.gfpgan.decode(encoding, noise)
            pyramid = self.gfpgan.pyramid(encoding) if wants_pyramid else []
        discriminators = [self.discriminator.network] if self.discriminator else []
        discriminators += [self.components] if self.components else []
        with frozen(*discriminators):
            terms = self._picture_terms(restored, pyramid, batch)
            terms |= self._feature_terms(restored, batch)
            terms |= self._discriminator_terms(restored, batch)
            if not terms:
                raise DataError(
                    "configuration: every loss term is switched off; nothing can be learnt"
                )
            descend(torch.stack(list(terms.values())).sum(), self.optimiser, self.distributed)
        return terms, restored.detach()

    def _picture_terms(self, restored: Tensor, pyramid: Sequence[Tensor], batch: Pair) -> _Terms:
        terms = {}
        if self.losses.pixel:
            terms["pixel"] = self.losses.pixel * F.l1_loss(restored, batch.truth)
        if pyramid:
            levels, truth = [], batch.truth
            for picture in reversed(pyramid):
                levels.append(F.l1_loss(picture.float(), truth))
                truth = halve(truth)
            terms["pyramid"] = self.losses.pyramid * torch.stack(levels).sum()
        return terms

    def _feature_terms(self, restored: Tensor, batch: Pair) -> _Terms:
        """Perceptual, style and identity: what frozen networks see."""
        losses, terms = self.losses, _Terms()
        if self.features is not None:
            relative = isinstance(self.features, IdentityFeatures)
            weights = IDENTITY_WEIGHTS if relative else VGG19_WEIGHTS
            own, wanted = self._seen_by(self.features, restored, batch)
            if losses.perceptual:
                distance = feature_l1(own, wanted, weights, relative=relative)
                terms["perceptual"] = losses.perceptual * distance
            if losses.style:
                terms["style"] = losses.style * style_l1(own, wanted, weights)
        if self.identity is not None:
            if self.identity is not self.features:
                own, wanted = self._seen_by(self.identity, restored, batch)
            distance = identity_distance(
                own["embedding"], wanted["embedding"], losses.identity_distance
            )
            terms["identity"] = self.identity_weight * distance
        return terms

    def _seen_by(
        self,
        network: Vgg19Features | IdentityFeatures | ArcFaceFeatures,
        restored: Tensor,
        batch: Pair,
    ) -> tuple[_Terms, _Terms]:
        """Features of the restored and of the true pictures."""
        with self.distributed.autocast():
            with torch.no_grad():
                wanted = network(batch.truth, batch.landmarks)
            return network(restored, batch.landmarks), wanted

    def _discriminator_terms(self, restored: Tensor, batch: Pair) -> _Terms:
        losses, terms = self.losses, _Terms()
        if self.discriminator is not None:
            looks = bool(losses.perceptual) and isinstance(self.features, IdentityFeatures)
            verdict = self.discriminator.judge(restored, with_features=looks)
            terms["adversarial"] = losses.adversarial * logistic_generator(verdict.logits)
            if looks:
                with torch.no_grad():
                    wanted = self.discriminator.judge(batch.truth, with_features=True).features
                distance = relative_matching(verdict.features, wanted)
                terms["perceptual_discriminator"] = losses.perceptual * distance
        if self.components is not None:
            own = self._judge_components(restored, batch)
            if losses.component_adversarial:
                value = component_generator(own)
                terms["component_adversarial"] = losses.component_adversarial * value
            if losses.component_style:
                with torch.no_grad():
                    truth = self._judge_components(batch.truth, batch)
                terms["component_style"] = losses.component_style * component_style(own, truth)
        return terms

    def _components_step(self, batch: Pair, restored: Tensor) -> _Terms:
        real = self._judge_components(batch.truth, batch)
        loss = component_discriminator(real, self._judge_components(restored, batch))
        descend(loss, self.component_optimiser, self.distributed)
        return {"component_discriminators": loss}

    def _judge_components(self, pictures: Tensor, batch: Pair) -> tuple[Verdict, ...]:
        assert self.components is not None
        regions = cut_regions(pictures, batch.landmarks)
        with self.distributed.autocast():
            verdicts: tuple[Verdict, ...] = self.components(regions, with_features=True)
        return verdicts

    def _open_features(self) -> None:
        """Open the networks that terms look through; what is not there is said."""
        config, losses, distributed = self.config, self.losses, self.distributed
        files = config.weights
        self.features: Vgg19Features | IdentityFeatures | None = None
        self.identity: IdentityFeatures | ArcFaceFeatures | None = None
        self.identity_weight = losses.identity
        if losses.identity:
            self.identity = self._open_identity()
            self._scale_identity_weight()
        if not (losses.perceptual or losses.style):
            return
        through = losses.features
        if through == "auto":
            through = "vgg19"
            try:
                weights_file(VGG19, files.vgg19, option="weights.vgg19")
            except NotAvailableError as error:
                if files.vgg19 is not None:
                    raise
                through = "identity"
                discriminator = " and the discriminator's" if losses.adversarial else ""
                _logger.warning(
                    "perceptual and style look through the face embedding's inner layers%s, not "
                    "through VGG19: %s", discriminator, error,
                )  # fmt: skip
        if through == "identity":
            self.features = (
                self.identity
                if isinstance(self.identity, IdentityFeatures)
                else identity_network(files.identity, config, distributed, "perceptual, style")
            )
            return
        opened = load_or_skip(
            lambda: Vgg19Features(weights_file(VGG19, files.vgg19, option="weights.vgg19")),
            "perceptual, style",
            config,
        )
        self.features = None if opened is None else opened.to(distributed.device)

    def _scale_identity_weight(self) -> None:
        """Bring the weight, which is for ArcFace's vectors, to the scale of MobileFaceNet's."""
        if isinstance(self.identity, IdentityFeatures) and self.losses.identity_distance == "l1":
            self.identity_weight *= UNIT_LENGTH_SCALE
            _logger.warning(
                "losses.identity: %g, for ArcFace's vectors, becomes %.4g: MobileFaceNet's, of "
                "unit length, differ %.3g times less",
                self.losses.identity, self.identity_weight, UNIT_LENGTH_SCALE,
            )  # fmt: skip

    def _open_identity(self) -> IdentityFeatures | ArcFaceFeatures | None:
        config, distributed = self.config, self.distributed
        files, through = config.weights, config.losses.identity_through
        if through == "mobilefacenet":
            return identity_network(files.identity, config, distributed, "identity")
        if through == "auto" and files.arcface is None:
            try:
                return open_arcface(option="weights.arcface").to(distributed.device)
            except NotAvailableError as error:
                _logger.warning(
                    "identity looks through MobileFaceNet, not through ArcFace: %s", error
                )
                return identity_network(files.identity, config, distributed, "identity")
        opened = load_or_skip(
            lambda: open_arcface(files.arcface, option="weights.arcface"), "identity", config
        )
        return None if opened is None else opened.to(distributed.device)


def open_task(config: GFPGANConfig, data: Data, distributed: Distributed) -> GFPGANTask:
    """The task of a configuration."""
    network = build_network(config)
    if not isinstance(network, GFPGAN):
        raise DataError(f"task gfpgan: {config.arch} is no GFP-GAN")
    if config.prior is not None:
        decoder = network.stylegan_decoder
        load_weights(decoder, config.prior, arch=type(decoder).__name__)
    elif not config.train_decoder:
        raise DataError(
            "configuration: a decoder of random weights that does not learn restores nothing; name "
            "the prior's weights (prior: FILE) or say train_decoder: true"
        )
    return GFPGANTask(config, data, distributed, network.to(distributed.device))
