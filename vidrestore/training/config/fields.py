"""What the options of all trainings are made of."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from vidrestore.models.registry import check_hyperparameters

__all__ = ["MOST", "MOST_PX", "Arguments", "TrainingPart", "Weight"]

MOST = 10**9
"""Of images, steps and faces."""
MOST_PX = 8192


def _checked(given: dict[str, Any]) -> dict[str, Any]:
    check_hyperparameters(given)
    return given


Arguments = Annotated[dict[str, Any], AfterValidator(_checked)]
"""Of a network; its class checks the names later."""
Weight = Annotated[float, Field(ge=0, le=1e6)]
"""Of a loss term; 0 switches it off."""


class TrainingPart(BaseModel):
    """Options that are checked when they are made, and never change."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )
