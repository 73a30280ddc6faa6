"""The model zoo: every model vidrestore knows by name, as one table.

`MODELS` is the table and `find` looks a name up in it. A row says what a model is for, which
network it fills, where its weights come from, how to tell that they are the right ones, and on
what terms they may be used. `vidrestore.models.weights.store` fetches and checks the files,
`vidrestore.models.load` turns a row into something that can be called. Adding a model is adding a
row.

Conventions: a name is unique within its task (the embedded restorer and the embedded detector
share one); sizes are in bytes; `sha256` is in lower-case hexadecimal. No publisher gives
checksums: those here are the ones recorded by public registries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from vidrestore.errors import UnknownModelError, nearest

__all__ = [
    "AUTO",
    "AUTO_ORDER",
    "MODELS",
    "ModelSpec",
    "Task",
    "find",
    "names",
]

Task = Literal["restorer", "detector", "parsing", "identity", "prior"]

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One row of the zoo."""

    name: str
    """What users type, such as `gfpgan-1.4`."""
    task: Task
    """What it does: restore crops, detect faces, tell a face from what is before it, embed
    identities, or generate faces (a prior)."""
    arch: str
    """Name of the network, as `vidrestore.models.build` knows it."""
    filename: str
    """The publisher's file name, kept in the cache too; empty if the model has no weights."""
    licence: str
    """Terms of use of the weights, shown before a download."""
    hyperparameters: Mapping[str, object] = field(default_factory=dict, hash=False)
    """Keyword arguments of the network."""
    url: str | None = None
    """Where the file is published; None for what ships inside the package or needs no file."""
    mirrors: tuple[str, ...] = ()
    """Other places with the same bytes, tried in order after `url`."""
    bytes: int | None = None
    """Exact file size; None where it is not known."""
    sha256: str | None = None
    """Checksum of the file; None where no public record of it was found."""
    template: str | None = None
    """The alignment template that the crops of a restorer follow; None for other tasks."""
    embedded: bool = False
    """Whether the file ships inside the package."""
    hidden: bool = False
    """Whether listings leave the model out (it serves tests only)."""

    def __post_init__(self) -> None:
        """Make the hyper-parameters read-only, like the rest of the row."""
        object.__setattr__(self, "hyperparameters", MappingProxyType(dict(self.hyperparameters)))

    @property
    def urls(self) -> tuple[str, ...]:
        """All places to download from, in the order in which they are tried."""
        return () if self.url is None else (self.url, *self.mirrors)

    @property
    def needs_file(self) -> bool:
        """Whether the model has weights at all."""
        return bool(self.filename)


_GFPGAN = "https://github.com/TencentARC/GFPGAN/releases/download"
_FACEXLIB = "https://github.com/xinntao/facexlib/releases/download"
_GPEN = "https://public-vigen-video.oss-cn-shanghai.aliyuncs.com/robin/models"

_GFPGAN_TERMS = "Apache-2.0; its StyleGAN2 parts carry NVIDIA's non-commercial notice"
_GPEN_TERMS = "non-commercial use only"
_PARSING_TERMS = "MIT code; learnt from CelebAMask-HQ, which is for non-commercial research"
_OWN_TERMS = "MIT; most of its training pictures state no licence"

# Both GFP-GAN families at 512 px; the values are those of the published option files.
_GFPGAN_COMMON: Mapping[str, object] = {
    "out_size": 512,
    "num_style_feat": 512,
    "narrow": 1,
    "num_mlp": 8,
    "input_is_latent": True,
    "different_w": True,
    "sft_half": True,
}
_GFPGAN_CLEAN = {**_GFPGAN_COMMON, "channel_multiplier": 2}
_GFPGAN_V1 = {
    **_GFPGAN_COMMON,
    "channel_multiplier": 1,
    "resample_kernel": (1, 3, 3, 1),
    "lr_mlp": 0.01,
}
_GPEN_COMMON: Mapping[str, object] = {
    "style_dim": 512,
    "n_mlp": 8,
    "isconcat": True,
    "lr_mlp": 0.01,
    "blur_kernel": (1, 3, 3, 1),
}

MODELS: tuple[ModelSpec, ...] = (
    # Restorers.
    ModelSpec(
        name="embedded",
        task="restorer",
        arch="CompactUNet",
        filename="generator.safetensors",
        licence=_OWN_TERMS,
        template="ffhq",
        embedded=True,
    ),
    ModelSpec(
        name="gfpgan-1.4",
        task="restorer",
        arch="GFPGANv1Clean",
        hyperparameters=_GFPGAN_CLEAN,
        filename="GFPGANv1.4.pth",
        url=f"{_GFPGAN}/v1.3.0/GFPGANv1.4.pth",
        bytes=348632874,
        sha256="e2cd4703ab14f4d01fd1383a8a8b266f9a5833dacee8e6a79d3bf21a1b6be5ad",
        licence=_GFPGAN_TERMS,
        template="ffhq",
    ),
    ModelSpec(
        name="gfpgan-1.3",
        task="restorer",
        arch="GFPGANv1Clean",
        hyperparameters=_GFPGAN_CLEAN,
        filename="GFPGANv1.3.pth",
        url=f"{_GFPGAN}/v1.3.0/GFPGANv1.3.pth",
        bytes=348632874,
        sha256="c953a88f2727c85c3d9ae72e2bd4846bbaf59fe6972ad94130e23e7017524a70",
        licence=_GFPGAN_TERMS,
        template="ffhq",
    ),
    ModelSpec(
        name="gfpgan-1.2",
        task="restorer",
        arch="GFPGANv1Clean",
        hyperparameters=_GFPGAN_CLEAN,
        filename="GFPGANCleanv1-NoCE-C2.pth",
        url=f"{_GFPGAN}/v0.2.0/GFPGANCleanv1-NoCE-C2.pth",
        bytes=348632874,
        sha256="29e25ee90c170f4231163f4c83df6b59c968b73f3ce00cb884015ae005db083c",
        licence=_GFPGAN_TERMS,
        template="ffhq",
    ),
    ModelSpec(  # Also colourises.
        name="gfpgan-1.0",
        task="restorer",
        arch="GFPGANv1",
        hyperparameters=_GFPGAN_V1,
        filename="GFPGANv1.pth",
        url=f"{_GFPGAN}/v0.1.0/GFPGANv1.pth",
        bytes=615378983,
        sha256="6db3a33dd00dd427b8a70a7e3c6244a5bcccb818736f4861ce1d609024a991de",
        licence=_GFPGAN_TERMS,
        template="ffhq",
    ),
    ModelSpec(
        name="gpen-512",
        task="restorer",
        arch="GPEN FullGenerator",
        hyperparameters={**_GPEN_COMMON, "size": 512, "channel_multiplier": 2, "narrow": 1},
        filename="GPEN-BFR-512.pth",
        url=f"{_GPEN}/GPEN-BFR-512.pth",
        mirrors=(
            "https://github.com/vinthony/video-retalking/releases/download/v0.0.1/GPEN-BFR-512.pth",
        ),
        bytes=284085738,
        sha256="f1002c41add95b0decad69604d80455576f7187dd99ca16bd611bcfd44c10b51",
        licence=_GPEN_TERMS,
        template="gpen",
    ),
    ModelSpec(  # About 75.5 MB; neither its exact size nor its checksum is on public record.
        name="gpen-256",
        task="restorer",
        arch="GPEN FullGenerator",
        hyperparameters={**_GPEN_COMMON, "size": 256, "channel_multiplier": 1, "narrow": 0.5},
        filename="GPEN-BFR-256.pth",
        url=f"{_GPEN}/GPEN-BFR-256.pth",
        licence=_GPEN_TERMS,
        template="gpen",
    ),
    ModelSpec(
        name="debug",
        task="restorer",
        arch="Debug",
        filename="",
        licence=_OWN_TERMS,
        template="ffhq",
        hidden=True,
    ),
    # Face detectors.
    ModelSpec(
        name="embedded",
        task="detector",
        arch="CompactDetector",
        filename="detector.safetensors",
        licence=_OWN_TERMS,
        embedded=True,
    ),
    ModelSpec(
        name="retinaface-resnet50",
        task="detector",
        arch="RetinaFace",
        hyperparameters={"backbone": "resnet50"},
        filename="detection_Resnet50_Final.pth",
        url=f"{_FACEXLIB}/v0.1.0/detection_Resnet50_Final.pth",
        bytes=109497761,
        sha256="6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d",
        licence="MIT",
    ),
    ModelSpec(
        name="retinaface-mobile0.25",
        task="detector",
        arch="RetinaFace",
        hyperparameters={"backbone": "mobile0.25"},
        filename="detection_mobilenet0.25_Final.pth",
        url=f"{_FACEXLIB}/v0.1.0/detection_mobilenet0.25_Final.pth",
        bytes=1789735,
        sha256="2979b33ffafda5d74b6948cd7a5b9a7a62f62b949cef24e95fd15d2883a65220",
        licence="MIT",
    ),
    # Face parsing, for the mask of blending.
    ModelSpec(
        name="parsenet",
        task="parsing",
        arch="ParseNet",
        hyperparameters={"in_size": 512, "out_size": 512, "parsing_ch": 19},
        filename="parsing_parsenet.pth",
        url=f"{_FACEXLIB}/v0.2.2/parsing_parsenet.pth",
        bytes=85331193,
        sha256="3d558d8d0e42c20224f13cf5a29c79eba2d59913419f945545d8cf7b72920de2",
        licence=_PARSING_TERMS,
    ),
    ModelSpec(
        name="bisenet",
        task="parsing",
        arch="BiSeNet",
        hyperparameters={"num_class": 19},
        filename="parsing_bisenet.pth",
        url=f"{_FACEXLIB}/v0.2.0/parsing_bisenet.pth",
        bytes=53289463,
        sha256="468e13ca13a9b43cc0881a9f99083a430e9c0a38abd935431d1c28ee94b26567",
        licence=_PARSING_TERMS,
    ),
    # For measuring and training.
    ModelSpec(
        name="mobilefacenet",
        task="identity",
        arch="MobileFaceNet",
        filename="mobilefacenet.pt",
        url="https://github.com/foamliu/MobileFaceNet/raw/master/weights/mobilefacenet.pt",
        bytes=4135271,
        sha256="90a00ba1d8b0b688af3deb731ed53dca582e6106805d1bc3cfdef55f570493f4",
        licence="Apache-2.0",
    ),
    ModelSpec(
        name="arcface-resnet18",
        task="identity",
        arch="ArcFaceResNet18",
        filename="arcface_resnet18.pth",
        url=f"{_GFPGAN}/v0.1.0/arcface_resnet18.pth",
        sha256="69554b3184575bdda7ecf7f40caf2b0c5ecbd0617b676d2209d8bf0e7e3d8042",
        licence="Apache-2.0",
    ),
    ModelSpec(
        name="stylegan2-512-ffhq",
        task="prior",
        arch="StyleGAN2Generator",
        hyperparameters={
            "out_size": 512,
            "num_style_feat": 512,
            "num_mlp": 8,
            "channel_multiplier": 1,
        },
        filename="StyleGAN2_512_Cmul1_FFHQ_B12G4_scratch_800k.pth",
        url=f"{_GFPGAN}/v0.1.0/StyleGAN2_512_Cmul1_FFHQ_B12G4_scratch_800k.pth",
        bytes=204535545,
        sha256="05f5d33d79b32a3355cae3ede30e7ee06a90e56c60b1c2efe4ddd0d0e5a2959f",
        licence=_GFPGAN_TERMS,
    ),
)

AUTO_ORDER: Mapping[Task, tuple[str, ...]] = MappingProxyType(
    {
        # No GPEN: weights that forbid commercial use are taken only when asked for by name.
        "restorer": ("gfpgan-1.4", "gfpgan-1.3", "gfpgan-1.2", "embedded"),
        "detector": ("retinaface-resnet50", "retinaface-mobile0.25", "embedded"),
    }
)
"""What `auto` stands for: the first of these that is installed."""


def names(task: Task | None = None) -> tuple[str, ...]:
    """Name the models that users may choose, without repetition.

    Args:
        task: only the models of this task; all of them if None.
    """
    rows = (spec for spec in MODELS if not spec.hidden and task in (None, spec.task))
    return tuple(dict.fromkeys(spec.name for spec in rows))


def find(name: str, task: Task | None = None) -> tuple[ModelSpec, ...]:
    """Look a name up.

    Args:
        name: name of a model.
        task: only models of this task.

    Returns:
        The rows of that name: one if `task` is given, else one for each task that has it.

    Raises:
        UnknownModelError: if there is none; the message suggests the nearest names.
    """
    rows = tuple(spec for spec in MODELS if spec.name == name and task in (None, spec.task))
    if not rows:
        raise UnknownModelError(_unknown_message(name, task))
    return rows


def _unknown_message(name: str, task: Task | None) -> str:
    others = sorted({spec.task for spec in MODELS if spec.name == name})
    wrong = f"model {name!r} is no {task} (but: {', '.join(others)})" if others else ""
    known = names(task)
    hint = nearest(name.lower(), known) or f"; known: {', '.join(known)}"
    return (wrong or f"unknown {task or 'model'} {name!r}") + hint
