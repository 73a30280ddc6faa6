"""Recipes read from YAML by name or file.

A recipe file has ``steps``, a list of names with the parameters that differ from their usual ranges
(`ranges` tells how these are written), and perhaps a ``description``, ``still`` and ``for_px``, the
side of the pictures that its lengths in pixels are meant for:

    description: soft and noisy
    steps:
      - blur: {sigma_px: [0.5, 4], probability: 0.7}
      - gaussian_noise: {sigma: 0.02}
      - h264
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from vidrestore.degradations.recipe import Recipe, explain
from vidrestore.degradations.step import Step
from vidrestore.degradations.steps import STEPS
from vidrestore.errors import UsageError, nearest
from vidrestore.settings import find_settings, read_yaml, settings_names, shown

__all__ = ["RECIPES", "load_recipe", "parse_recipe", "recipe_names"]

RECIPES = Path(__file__).parent / "recipes"
"""The folder of the recipes that come with the package."""

_MOST_STEPS = 64

M = TypeVar("M", bound=BaseModel)


def recipe_names() -> list[str]:
    """The recipes that come with the package."""
    return settings_names(RECIPES)


def load_recipe(recipe: str | Path) -> Recipe:
    """Read a recipe by its name (`recipe_names`) or from a YAML file; a `Path` is always a file.

    Raises:
        UsageError: if there is no such recipe, or it is not well formed; names the place and the
            nearest known word.
    """
    if isinstance(recipe, str) and recipe in recipe_names():
        path = RECIPES / f"{recipe}.yaml"  # Whatever the current folder holds.
    else:
        path = find_settings(recipe, RECIPES, "recipe")
    return parse_recipe(read_yaml(path, f"recipe {recipe}"), str(recipe))


def parse_recipe(content: Any, named: str = "given") -> Recipe:
    """A recipe from what its YAML holds.

    Args:
        content: `{"steps": [...]}`.
        named: how errors call it.

    Raises:
        UsageError: see `load_recipe`.
    """
    where = f"recipe {named}"
    for key in content if isinstance(content, dict) else ():
        if key not in Recipe.model_fields:
            raise UsageError(
                f"{where}: unknown key {shown(key)}{nearest(str(key), Recipe.model_fields)}"
            )
    if not isinstance(content, dict) or not isinstance(content.get("steps"), list):
        raise UsageError(f"{where}: needs 'steps', a list of steps")
    steps = _parse_steps(content["steps"], where)
    values = {key: value for key, value in content.items() if key != "steps"}
    return _validated(Recipe, {**values, "steps": steps}, where)


def _parse_steps(given: list[Any], where: str) -> tuple[Step, ...]:
    if len(given) > _MOST_STEPS:
        raise UsageError(f"{where}: {len(given)} steps; a recipe has {_MOST_STEPS} at most")
    return tuple(
        _parse_step(one, f"{where}, step {number}") for number, one in enumerate(given, start=1)
    )


def _parse_step(given: Any, where: str) -> Step:
    name: Any = given
    values: Any = {}
    if isinstance(given, dict) and len(given) == 1:
        [(name, values)] = given.items()
    if not isinstance(name, str):
        raise UsageError(
            f"{where}: needs a name, or one name with its parameters, got {shown(given)}"
        )
    if name not in STEPS:
        raise UsageError(
            f"{where}: unknown step {shown(name)}{nearest(name, STEPS)}; known: {', '.join(STEPS)}"
        )
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise UsageError(f"{where}: {name} needs parameters with names, got {shown(values)}")
    if isinstance(values.get("steps"), list):
        values = {**values, "steps": _parse_steps(values["steps"], f"{where} ({name})")}
    return _validated(STEPS[name], values, f"{where} ({name})")


def _validated(model: type[M], values: dict[str, Any], where: str) -> M:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            near = nearest(str(first["loc"][-1]), _known(model))
            said = f"unknown parameter {place!r}{near}"
        else:
            said = explain(first)
        raise UsageError(f"{where}: {said}") from error


def _known(model: type[BaseModel]) -> list[str]:
    names = list(model.model_fields)
    for field in model.model_fields.values():
        kind = field.annotation
        if isinstance(kind, type) and is_dataclass(kind):
            names += [one.name for one in fields(kind)]
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            names += list(kind.model_fields)
    return names
