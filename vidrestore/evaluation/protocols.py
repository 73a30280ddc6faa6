"""Documented, seeded tasks: what is done to a face or a video before it is restored.

`find_protocol` knows `blind`, `gfpgan`, `sr4` and `none`, and takes any recipe of `vidrestore
degrade` by its name or file. Picture number i is degraded with the seed (seed, i), whatever else is
measured, so two people who name the same data, protocol and seed meet the same pictures. Numbers of
different protocols do not compare.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from vidrestore.config import EncodeConfig
from vidrestore.degradations import (
    BlindVideo,
    Image,
    Recipe,
    apply,
    load_recipe,
    recipe_names,
)
from vidrestore.errors import UsageError, nearest
from vidrestore.runtime.inputs import is_bare_name

__all__ = ["PAIRS", "PROTOCOLS", "Protocol", "find_protocol"]


@dataclass(frozen=True, slots=True)
class Protocol:
    """One task."""

    name: str
    description: str
    recipe: Recipe | None
    """How it degrades; None leaves everything as it is."""
    mixture: BlindVideo | None = None
    """Degrades pictures in place of the recipe."""

    def picture(self, face: Image, *, seed: int, index: int) -> Image:
        """Degrade picture number `index`, (H, W, 3) RGB in [0, 1], both sides even."""
        rng = np.random.default_rng([seed, index])
        if self.mixture is not None:
            return apply(face, self.mixture.draw(rng), rng)
        return face if self.recipe is None else self.recipe.draw(rng).picture(face, rng)

    def video(self, source: Path, out: Path, *, seed: int, index: int) -> None:
        """Degrade clip number `index` into a file, FFV1 in Matroska, by one drawing of the recipe.

        Raises:
            VidRestoreError: the clip cannot be read or the file not be written.
        """
        from vidrestore.degradations.videos import degrade_video

        own_seed = int(np.random.SeedSequence([seed, index]).generate_state(1)[0])
        encode = EncodeConfig(codec="ffv1")
        degrade_video(source, out, self.recipe or Recipe(), seed=own_seed, encode=encode)


PAIRS = Protocol("pairs", "as the files are", None)
"""Of what was degraded before."""


def find_protocol(name: str) -> Protocol:
    """A protocol by its name, or one made of a recipe.

    Args:
        name: one of `PROTOCOLS`, a recipe's name, or the path of a recipe's YAML file.

    Raises:
        UsageError: there is none, or the recipe is not well formed.
    """
    if name in PROTOCOLS:
        return PROTOCOLS[name]()
    if is_bare_name(name) and not Path(name).suffix and name not in recipe_names():
        known = list(dict.fromkeys([*PROTOCOLS, *recipe_names()]))
        raise UsageError(
            f"unknown protocol {name!r}{nearest(name, known)}; known: {', '.join(known)}, "
            "or name a recipe's YAML file"
        )
    recipe = load_recipe(name)
    return Protocol(Path(name).stem, recipe.description, recipe)


def _blind() -> Protocol:
    recipe = load_recipe("blind_video")
    return Protocol(
        "blind",
        "blur, loss of size, noise, H.264 or MPEG-2 (often twice), JPEG, as BlindVideo draws them",
        recipe,
        BlindVideo(),
    )


def _gfpgan() -> Protocol:
    return Protocol(
        "gfpgan",
        "blind restoration as in GFP-GAN (arXiv 2101.04061, section 4.1): blur of sigma 0.1-10, "
        "down by 0.8-8, noise of 0-20 of 255, JPEG 60-100, up; no colour jitter",
        load_recipe("gfpgan").without_colour_changes(),
    )


def _sr4() -> Protocol:
    return Protocol(
        "sr4",
        "super-resolution by four: antialiased bicubic down and up, nothing random",
        load_recipe("super_resolution_x4"),
    )


def _none() -> Protocol:
    return Protocol("none", "nothing is degraded: a sharp face should come out as it was", None)


PROTOCOLS: Mapping[str, Callable[[], Protocol]] = MappingProxyType(
    {"blind": _blind, "gfpgan": _gfpgan, "sr4": _sr4, "none": _none}
)
"""The protocols by name, made when they are asked for."""
