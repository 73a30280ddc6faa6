"""What can be trained: one file for each task, and `open_task`, which makes one of a recipe."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from vidrestore.training.config import Recipe
    from vidrestore.training.distributed import Distributed
    from vidrestore.training.tasks.compact_detector import SceneData
    from vidrestore.training.tasks.task import Data, Task

__all__ = ["open_task"]


def open_task(recipe: Recipe, data: Data | SceneData, distributed: Distributed) -> Task:
    """Build the networks and optimisers of a recipe.

    Args:
        recipe: What to do; its `task` names the file.
        data: What to learn from.
        distributed: Where to run.

    Raises:
        NotAvailableError: A loss term's network is not there, and the recipe does not skip it.
        ModelError: A network cannot be built as the recipe asks.
    """
    module = import_module(f"vidrestore.training.tasks.{recipe.task}")
    return cast("Task", module.open_task(recipe, data, distributed))
