"""A training goes on with what it was begun with; what may change is said."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from tiny_training import tiny_config

from vidrestore.errors import DataError
from vidrestore.training.checkpoint import TrainingState
from vidrestore.training.resume import require_same

PATH = Path("run/last.pt")


def resumed(task: str, images: int, **changes: Any) -> None:
    begun = tiny_config(task)
    state = TrainingState(task, begun.model_dump(mode="json"), images, {}, {})
    require_same(tiny_config(task, **changes), state, PATH)


def test_what_does_not_touch_the_result_changes_without_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        resumed("gfpgan", 10)
        resumed("gfpgan", 10, report={"log_every_steps": 7}, when_missing="skip")
    assert not caplog.records


def test_what_applies_from_here_on_is_named(caplog: pytest.LogCaptureFixture) -> None:
    resumed("gfpgan", 10, losses={"pixel": 0.5})
    assert "losses.pixel" in caplog.text and "→ 0.5" in caplog.text


@pytest.mark.parametrize("changes", [{"seed": 5}, {"batch_size": 3}])
def test_what_would_shift_the_counters_is_refused(changes: dict[str, Any]) -> None:
    [name] = changes
    with pytest.raises(DataError, match=rf"{name} was .* go on with run/config\.yaml"):
        resumed("gfpgan", 10, **changes)


def test_stages_to_come_may_change_and_those_that_are_over_may_not() -> None:
    first, second = tiny_config("compact_generator").model_dump(mode="json")["stages"]
    later = {"stages": [first, second | {"images": 12}]}
    earlier = {"stages": [first | {"images": 2}, second]}
    resumed("compact_generator", 4, **later)
    resumed("compact_generator", 2, **earlier)
    with pytest.raises(DataError, match=r"stages\.0\.images was 4, and is 2"):
        resumed("compact_generator", 4, **earlier)
