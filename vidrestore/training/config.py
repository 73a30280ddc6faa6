"""Training configurations: YAML that decides all of a run but the data and the machine.

`task` says what is trained and with it which of the classes below the file must fit. The defaults
here are the papers' values (Karras et al., arXiv:1912.04958; Wang et al., arXiv:2101.04061; Yang et
al., arXiv:2105.06070). Every loss term is a weight, and 0 switches it off: it is not computed.

Lengths are in steps of the optimiser, or where a configuration has stages in images. All counters
follow from one, the number of images seen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from vidrestore.models.registry import check_hyperparameters, full_name

__all__ = [
    "CompactDetectorConfig",
    "CompactGeneratorConfig",
    "DataConfig",
    "DetectorStage",
    "GFPGANConfig",
    "GFPGANLosses",
    "GPENConfig",
    "GPENLosses",
    "GeneratorStage",
    "PriorLosses",
    "ReportConfig",
    "ScheduleConfig",
    "StyleGAN2PriorConfig",
    "TermFiles",
    "TrainingConfig",
]

_MOST = 10**9
"""Of images, steps and faces."""
_MOST_PX = 8192


def _checked(given: dict[str, Any]) -> dict[str, Any]:
    check_hyperparameters(given)
    return given


Arguments = Annotated[dict[str, Any], AfterValidator(_checked)]
"""Of a network; its class checks the names later."""
Weight = Annotated[float, Field(ge=0, le=1e6)]
"""Of a loss term; 0 switches it off."""

PAPER_EMA_STEPS = 10_000 / 32
"""Half-life of the papers' running average, in steps: 0.5^(32 / 10000) of it stays each step."""


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )


class DataConfig(_Part):
    """How pictures become samples."""

    size_px: int = Field(512, ge=8, le=_MOST_PX, description="side of the pictures")
    resize: bool = Field(False, description="resample square pictures of another size")
    template: Literal["ffhq", "gpen"] = Field(
        "ffhq", description="alignment of the crops, to which faces with landmarks are warped"
    )
    unlabelled_template: Literal["ffhq", "gpen"] = Field(
        "ffhq", description="alignment that pictures without landmarks have already"
    )
    held_out_every: int = Field(
        20,
        ge=2,
        le=_MOST,
        description="every so many pictures are held out where labels.csv has no split",
    )
    mirror_share: float = Field(0.5, ge=0, le=1, description="share of mirrored samples")
    gray_share: float = Field(
        0.0, ge=0, le=1, description="share of black-and-white samples, input and truth"
    )
    memory_gib: float = Field(4.0, ge=0, le=1e6, description="most memory for decoded pictures")


class GPENDataConfig(DataConfig):
    """GPEN's own alignment, and its one black-and-white sample in five (its public code's)."""

    template: Literal["ffhq", "gpen"] = Field(
        "gpen", description="alignment of the crops, to which faces with landmarks are warped"
    )
    gray_share: float = Field(
        0.2, ge=0, le=1, description="share of black-and-white samples, input and truth"
    )


class ReportConfig(_Part):
    """How often a run tells about itself; none of it changes the result."""

    log_every_steps: int = Field(100, ge=1, le=_MOST, description="scalars")
    validate_every_steps: int = Field(
        2000, ge=1, le=_MOST, description="held-out faces, and the best one"
    )
    samples_every_steps: int = Field(2000, ge=1, le=_MOST, description="grid of pictures")
    save_every_steps: int = Field(1000, ge=1, le=_MOST, description="checkpoint")
    held_out_faces: int = Field(
        16, ge=1, le=_MOST, description="most faces looked at, evenly spread"
    )
    sample_faces: int = Field(8, ge=1, le=1024, description="pictures of the grid")


class TermFiles(_Part):
    """Networks that loss terms look through; None finds the installed one."""

    vgg19: Path | None = Field(None, description="torchvision's VGG19")
    identity: Path | None = Field(None, description="mobilefacenet.pt")
    arcface: Path | None = Field(None, description="arcface_resnet18.pth, of GFP-GAN's identity")


class ScheduleConfig(_Part):
    """Learning rate: constant, times `factor` at each milestone."""

    learning_rate: float = Field(2e-3, ge=0, le=10)
    milestones: tuple[Annotated[int, Field(ge=0, le=_MOST)], ...] = Field((), description="steps")
    factor: float = Field(0.5, gt=0, le=1)

    def rate_at(self, step: int) -> float:
        """Rate of the step with this number, from 0."""
        return self.learning_rate * self.factor ** sum(step >= m for m in self.milestones)


class TrainingConfig(_Part):
    """What all configurations have."""

    default_arch: ClassVar[str] = ""

    task: str
    seed: int = Field(0, ge=0, le=2**62)
    precision: Literal["float32", "bfloat16"] = "float32"
    network: Arguments = Field(
        default_factory=dict, description="hyper-parameters of the network, and `arch`"
    )
    data: DataConfig = DataConfig()
    report: ReportConfig = ReportConfig()
    weights: TermFiles = TermFiles()
    when_missing: Literal["refuse", "skip"] = Field(
        "refuse", description="a loss term whose network is not there"
    )

    @property
    def arch(self) -> str:
        """Name of the network that is trained."""
        return full_name(str(self.network.get("arch", self.default_arch)))

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Keyword arguments of the network."""
        return {name: value for name, value in self.network.items() if name != "arch"}


class _StepsConfig(TrainingConfig):
    """A configuration of one stage, counted in steps."""

    steps: int = Field(800_000, ge=1, le=_MOST)
    batch_size: int = Field(12, ge=1, le=65_536, description="over all processes")
    schedule: ScheduleConfig = ScheduleConfig()
    ema_half_life_steps: float = Field(PAPER_EMA_STEPS, gt=0, le=1e9)

    @property
    def ema_half_life_images(self) -> float:
        """The same in images."""
        return self.ema_half_life_steps * self.batch_size


class PriorLosses(_Part):
    """StyleGAN2's terms; the adversarial one, of weight 1, is what remains without the others."""

    r1: Weight = 10.0
    r1_every_steps: int = Field(16, ge=1, le=_MOST)
    path_length: Weight = 2.0
    path_length_every_steps: int = Field(4, ge=1, le=_MOST)
    path_length_batch_share: float = Field(
        0.5, gt=0, le=1, description="share of the batch, as in the paper, to save memory"
    )


class AugmentConfig(_Part):
    """What the discriminator sees instead of the pictures themselves, against few data."""

    kind: Literal["none", "diffaugment", "ada"] = "none"
    policy: tuple[Literal["colour", "translation", "cutout"], ...] = Field(
        ("colour", "translation", "cutout"), description="of DiffAugment (arXiv:2006.10738)"
    )
    upright: bool = Field(True, description="ADA without quarter turns, for aligned faces")
    ada_target: float = Field(0.6, gt=0, lt=1, description="of ADA (arXiv:2006.06676)")
    ada_speed_images: int = Field(
        500_000, ge=1, le=_MOST, description="images for p to go from 0 to 1"
    )
    ada_every_steps: int = Field(4, ge=1, le=_MOST)


class StyleGAN2PriorConfig(_StepsConfig):
    """A StyleGAN2 of faces, the decoder of a GFP-GAN to come."""

    default_arch: ClassVar[str] = "StyleGAN2Generator"

    task: Literal["stylegan2_prior"] = "stylegan2_prior"
    discriminator: Arguments = Field(
        default_factory=dict, description="arguments of the StyleGAN2 discriminator"
    )
    mixing_share: float = Field(0.9, ge=0, le=1, description="samples of two styles")
    losses: PriorLosses = PriorLosses()
    augment: AugmentConfig = AugmentConfig()


class GFPGANLosses(_Part):
    """GFP-GAN's terms, with the weights of the public configuration."""

    pixel: Weight = 0.1
    pyramid: Weight = 1.0
    pyramid_until_step: int = Field(50_000, ge=0, le=_MOST)
    perceptual: Weight = 1.0
    style: Weight = 50.0
    adversarial: Weight = 0.1
    r1: Weight = 10.0
    r1_every_steps: int = Field(16, ge=1, le=_MOST)
    component_adversarial: Weight = 1.0
    component_style: Weight = 200.0
    identity: Weight = 10.0
    identity_distance: Literal["l1", "cosine"] = "l1"
    identity_through: Literal["auto", "arcface", "mobilefacenet"] = Field(
        "auto",
        description="ArcFace's ResNet-18 as in the paper, whose vectors the weight is for, or "
        "MobileFaceNet, whose vectors of unit length it is scaled to; auto takes ArcFace where its "
        "file is",
    )
    features: Literal["auto", "vgg19", "identity"] = Field(
        "auto",
        description="what perceptual and style look through: VGG19, or the face embedding's inner "
        "layers and, for perceptual, the discriminator's; auto takes VGG19 where its file is",
    )


class GFPGANConfig(_StepsConfig):
    """GFP-GAN on a StyleGAN2 prior."""

    default_arch: ClassVar[str] = "GFPGANv1"

    task: Literal["gfpgan"] = "gfpgan"
    schedule: ScheduleConfig = ScheduleConfig(milestones=(600_000, 700_000))
    prior: Path | None = Field(
        None, description="weights or checkpoint of the decoder; None starts from random ones"
    )
    train_decoder: bool = Field(False, description="version 1 kept the prior as it was")
    discriminator: Arguments = Field(default_factory=dict)
    component_width: int = Field(64, ge=1, le=4096, description="of the component discriminators")
    degradation: str = Field("gfpgan", description="a recipe of `vidrestore degrade`: name or file")
    losses: GFPGANLosses = GFPGANLosses()


class GPENLosses(_Part):
    """GPEN's terms; `pixel` is smooth L1, as in the public code."""

    adversarial: Weight = 1.0
    r1: Weight = 10.0
    r1_every_steps: int = Field(16, ge=1, le=_MOST)
    path_length: Weight = 2.0
    path_length_every_steps: int = Field(4, ge=1, le=_MOST)
    path_length_batch_share: float = Field(0.5, gt=0, le=1)
    pixel: Weight = 1.0
    identity: Weight = 1.0
    identity_distance: Literal["l1", "cosine"] = "cosine"
    feature_matching: Weight = 0.02


class GPENConfig(_StepsConfig):
    """GPEN in its two stages: the prior with concatenated noise, then the whole."""

    default_arch: ClassVar[str] = "GPEN FullGenerator"

    task: Literal["gpen"] = "gpen"
    data: GPENDataConfig = GPENDataConfig()
    stage: Literal["prior", "embedded"] = "embedded"
    prior: Path | None = Field(None, description="checkpoint of the stage `prior`")
    encoder_rate: float = Field(1.0, ge=0, le=1000, description="of the learning rate")
    decoder_rate: float = Field(
        0.1, ge=0, le=1000, description="of the learning rate (section 4.1)"
    )
    discriminator_rate: float = Field(
        0.01, ge=0, le=1000, description="of the learning rate (section 4.1)"
    )
    discriminator: Arguments = Field(default_factory=dict)
    augment: AugmentConfig = AugmentConfig()
    degradation: str = Field("gpen", description="a recipe of `vidrestore degrade`: name or file")
    losses: GPENLosses = GPENLosses()

    @model_validator(mode="after")
    def _fits_the_stage(self) -> GPENConfig:
        if self.stage == "prior" and self.losses.adversarial != 1:
            raise ValueError(
                "losses.adversarial: is 1 in the stage prior, which learns by nothing else"
            )
        if self.stage == "embedded" and self.augment.kind != "none":
            raise ValueError("augment: is for the stage prior; say kind: none")
        return self


class GeneratorStage(_Part):
    """A stage of the compact generator's training with one setting."""

    images: int = Field(ge=1, le=_MOST, description="samples to see")
    batch_size: int = Field(8, ge=1, le=65_536, description="over all processes")
    window: int = Field(256, ge=8, le=_MOST_PX, description="side of the training window in pixels")
    learning_rate: float = Field(1e-3, ge=0, le=10)
    final_learning_rate: float = Field(1e-5, ge=0, le=10, description="at the end of half a cosine")
    warmup_images: int = Field(0, ge=0, le=_MOST)
    ema_half_life_images: float = Field(8000, gt=0, le=1e9)
    pixel_weight: Weight = Field(1.0, description="Charbonnier on RGB")
    gradient_weight: Weight = Field(1.0, description="L1 on differences of luma")
    local_energy_weight: Weight = Field(0.0, description="amplitude of fine detail, three octaves")
    grid_weight: Weight = Field(0.0, description="patterns that repeat every 4 or 8 pixels")
    identity_weight: Weight = Field(0.0, description="1 - cosine of embeddings; whole crops")
    feature_weight: Weight = Field(0.0, description="inner layers of the embedding; whole crops")
    adversarial_weight: Weight = Field(0.0, description="U-Net discriminator")
    feature_matching_weight: Weight = Field(0.0, description="that discriminator's features")
    discriminator_learning_rate: float = Field(2e-4, ge=0, le=10)
    new_discriminator: bool = Field(False, description="begin with one that has learnt nothing")
    gradient_clip: float = Field(
        0.1, gt=0, le=1e6, description="most norm of the generator's gradient"
    )

    @property
    def embeds_faces(self) -> bool:
        """Whether the stage needs the embedding network."""
        return bool(self.identity_weight or self.feature_weight)

    @property
    def is_adversarial(self) -> bool:
        """Whether the stage needs the discriminator."""
        return bool(self.adversarial_weight or self.feature_matching_weight)

    @model_validator(mode="after")
    def _whole_batches(self) -> GeneratorStage:
        if self.images % self.batch_size:
            raise ValueError(f"{self.images} images are no whole batches of {self.batch_size}")
        return self


_Beta = Annotated[float, Field(ge=0, lt=1)]


class CompactGeneratorConfig(TrainingConfig):
    """The small generator that ships, in stages."""

    default_arch: ClassVar[str] = "CompactUNet"

    task: Literal["compact_generator"] = "compact_generator"
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    data: DataConfig = DataConfig(gray_share=0.1)
    mixture: dict[str, Any] = Field(
        default_factory=lambda: {"nearly_clean": 0.08}, description="fields of `BlindVideo`"
    )
    betas: tuple[_Beta, _Beta] = Field((0.9, 0.99), description="of the generator's AdamW")
    discriminator: Arguments = Field(
        default_factory=dict, description="arguments of `UNetDiscriminator`"
    )
    adversarial_loss: Literal["logistic", "hinge"] = "logistic"
    r1: Weight = Field(0.0, description="gradient penalty of the discriminator")
    r1_every: int = Field(
        16, ge=1, le=_MOST, description="steps from one gradient penalty to the next"
    )
    start_from: Path | None = Field(None, description="weights to begin with")
    stages: tuple[GeneratorStage, ...] = Field(min_length=1)


class DetectorStage(_Part):
    """A stage of the compact detector's training, of one of its two networks."""

    network: Literal["cells", "refiner"] = Field(
        description="the one that detects faces in a picture, or the one that refines each of them"
    )
    images: int = Field(
        ge=1, le=_MOST, description="scenes to see; the refiner takes four crops of one"
    )
    schedule_images: int | None = Field(
        None, ge=1, le=_MOST, description="length of the rate's schedule; None for the stage's own"
    )
    batch_size: int = Field(8, ge=1, le=65_536, description="scenes")
    scene_px: int = Field(
        256, ge=64, le=_MOST_PX, multiple_of=64, description="side of the scenes for cells"
    )
    learning_rate: float = Field(1.2e-3, ge=0, le=10, description="peak; see `learning_rate`")
    average_keep: float = Field(
        0.998, ge=0, lt=1, description="share of the running average that stays in a step"
    )
    use_teacher: bool = Field(False, description="whether labels are the teacher's")
    bfloat16_share: float = Field(0.9, ge=0, le=1, description="of the stage; then float32")

    @model_validator(mode="after")
    def _whole_batches(self) -> DetectorStage:
        if self.images % self.batch_size:
            raise ValueError(f"{self.images} images are no whole batches of {self.batch_size}")
        return self


class DetectorLosses(_Part):
    """Terms of both networks."""

    cells_score: Weight = Field(1.0, description="quality focal, of cells")
    cells_box: Weight = Field(1.0, description="generalised IoU")
    cells_landmark: Weight = 8.0
    refiner_score: Weight = 1.0
    refiner_landmark: Weight = 8.0


class CompactDetectorConfig(TrainingConfig):
    """The small detector that ships, in stages."""

    default_arch: ClassVar[str] = "CompactDetector"

    task: Literal["compact_detector"] = "compact_detector"
    teacher: Path | None = Field(
        None, description="RetinaFace's weights; None finds retinaface-mobile0.25 installed"
    )
    textures: Path | None = Field(
        None, description="pictures without faces; None finds scikit-image's"
    )
    start_from: Path | None = Field(None, description="weights to begin with")
    weight_decay: float = Field(1e-2, ge=0, le=10)
    losses: DetectorLosses = DetectorLosses()
    stages: tuple[DetectorStage, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _no_idle_fields(self) -> CompactDetectorConfig:
        if self.precision != "float32":
            raise ValueError("precision: stages say how much of them is in bfloat16_share")
        usual = DataConfig(size_px=self.data.size_px)
        for name in DataConfig.model_fields:
            if getattr(self.data, name) != getattr(usual, name):
                raise ValueError(f"data.{name}: scenes are made otherwise; leave it out")
        return self
