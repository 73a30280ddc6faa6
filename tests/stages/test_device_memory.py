"""Where a device's memory runs out between planes and changed samples, fewer faces are worked on at
a time, with the same pictures; where one does not fit, an error says what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from aligned_faces import aligned
from moving_face import pan
from torch import Tensor, nn

import vidrestore.stages._blend_on_device as blending
import vidrestore.stages._filter_on_device as filtering
import vidrestore.stages.restore as restoring
from vidrestore.config import BlendConfig, TemporalFilterConfig
from vidrestore.errors import NotEnoughMemoryError
from vidrestore.models.restorers.network import NetworkRestorer
from vidrestore.runtime.transfer import Uploader
from vidrestore.stages.blend import blend
from vidrestore.stages.restore import restore
from vidrestore.stages.temporal_filter import temporal_filter
from vidrestore.stages.upload import upload

SIZE, FACES = 64, 3


class Darker(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 0.75 - 0.1 * x.roll(1, 3)


def section() -> tuple[list[Tensor], list[str]]:
    """Planes of three frames of three faces each, and the notes."""
    run = NetworkRestorer(Darker(), size=SIZE, precision="as is", batch_size=4).start_run()
    frames = [
        replace(frame, faces=tuple(replace(frame.faces[0], track_id=one) for one in range(FACES)))
        for frame in aligned(pan(3), SIZE)
    ]
    sent = upload(frames, torch.device("cpu"), SIZE)
    config = TemporalFilterConfig(reach_frames=2)
    filtered = temporal_filter(restore(sent, run), config, on_device=True, notes=run.notes)
    done = blend(filtered, BlendConfig(), notes=run.notes)
    return [plane for frame in done for plane in frame.picture.planes], run.notes


def with_room(most: int, function: Callable[..., Any], place: int) -> Callable[..., Any]:
    """A function for whose work memory suffices for so many faces."""

    def limited(*given: Any, **options: Any) -> Any:
        many: Sequence[object] = given[place]
        done = function(*given, **options)
        if len(many) > most:
            raise torch.OutOfMemoryError("full")
        return done

    return limited


STEPS = [
    (restoring, "cut_crops", 0, "to cut out a face"),
    (filtering, "looks", 0, "to filter a face over time"),
    (filtering, "strengthened", 0, "to filter a face over time"),
    (blending, "_patches", 0, "to put back a face"),
]


@pytest.fixture(scope="module")
def wanted() -> list[Tensor]:
    """The planes where memory suffices."""
    planes, notes = section()
    assert notes == []
    return planes


@pytest.mark.parametrize(("home", "name", "place", "what"), STEPS)
def test_fewer_faces_at_a_time_give_the_same_pictures(
    home: Any,
    name: str,
    place: int,
    what: str,
    wanted: list[Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The step fails once it has done its work, so that it is done twice."""
    monkeypatch.setattr(home, name, with_room(1, getattr(home, name), place))
    found, notes = section()
    assert any(note.startswith(f"out of memory {what}: ") for note in notes)
    assert len(notes) == len(set(notes)) <= 3
    for one, other in zip(found, wanted, strict=True):
        assert (one.int() - other.int()).abs().max() <= 1
        assert (one != other).float().mean() < 1e-3


@pytest.mark.parametrize(("home", "name", "place", "what"), STEPS)
def test_a_face_that_does_not_fit_ends_the_run(
    home: Any, name: str, place: int, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home, name, with_room(0, getattr(home, name), place))
    with pytest.raises(NotEnoughMemoryError, match=rf"{what}; lower --\w+") as caught:
        section()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("home", "name", "what"),
    [(Uploader, "__call__", "to send a frame"), (blending, "joined", "to put back the")],
)
def test_what_cannot_be_divided_ends_the_run(
    home: Any, name: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any) -> None:
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(home, name, full)
    with pytest.raises(NotEnoughMemoryError, match=what):
        section()
