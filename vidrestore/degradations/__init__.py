"""What cameras, film, tape and codecs do to a picture: small seeded functions, composed in YAML.

    from vidrestore.degradations import BlindVideo, apply, load_recipe
    degraded = apply(face, BlindVideo().draw(rng), rng)             # the blind protocol
    degraded = load_recipe("old_film").draw(rng).picture(face, rng)  # a recipe by name or file

Pictures are (H, W, 3) float32 RGB in [0, 1]; functions return new arrays. By subject: `optics`,
`sampling`, `noise`, `compression`, `colour`, `film`, `tape`, `interlacing`. The modules `…_steps`
give each function its ranges, `recipe` puts steps in order, `recipe_files` reads them, `videos` and
`files` apply recipes to files.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidrestore.degradations.applying import apply
    from vidrestore.degradations.blind import BlindVideo
    from vidrestore.degradations.colour import grayscale
    from vidrestore.degradations.compression import jpeg, video_codec
    from vidrestore.degradations.degradation import Coding, Degradation
    from vidrestore.degradations.noise import gaussian_noise, shot_noise
    from vidrestore.degradations.optics import blur, gaussian_kernel
    from vidrestore.degradations.pixels import Clip, Image
    from vidrestore.degradations.recipe import Recipe
    from vidrestore.degradations.recipe_files import load_recipe, recipe_names
    from vidrestore.degradations.sampling import resize, shift

__all__ = [
    "BlindVideo",
    "Clip",
    "Coding",
    "Degradation",
    "Image",
    "Recipe",
    "apply",
    "blur",
    "gaussian_kernel",
    "gaussian_noise",
    "grayscale",
    "jpeg",
    "load_recipe",
    "recipe_names",
    "resize",
    "shift",
    "shot_noise",
    "video_codec",
]

_HOMES = {
    "BlindVideo": "blind",
    "Clip": "pixels",
    "Coding": "degradation",
    "Degradation": "degradation",
    "Image": "pixels",
    "Recipe": "recipe",
    "apply": "applying",
    "blur": "optics",
    "gaussian_kernel": "optics",
    "gaussian_noise": "noise",
    "grayscale": "colour",
    "jpeg": "compression",
    "load_recipe": "recipe_files",
    "recipe_names": "recipe_files",
    "resize": "sampling",
    "shift": "sampling",
    "shot_noise": "noise",
    "video_codec": "compression",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
