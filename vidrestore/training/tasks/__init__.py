"""What can be trained: one file for each task, and `open_task`, which builds one."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from vidrestore.training.config import TrainingConfig
    from vidrestore.training.distributed import Distributed
    from vidrestore.training.tasks.compact_detector import SceneData
    from vidrestore.training.tasks.task import Data, Task

__all__ = ["open_task"]


def open_task(config: TrainingConfig, data: Data | SceneData, distributed: Distributed) -> Task:
    """Build the networks and optimisers of a configuration.

    Args:
        config: what to do; its `task` names the file.
        data: what to learn from.
        distributed: where to run.

    Raises:
        NotAvailableError: a loss term's network is missing, and the configuration does not skip it.
        ModelError: a network cannot be built as the configuration asks.
    """
    module = import_module(f"vidrestore.training.tasks.{config.task}")
    return cast("Task", module.open_task(config, data, distributed))
