"""The keywords of daily use stand for fields of the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidrestore.config import dotted_fields, resolve_config
from vidrestore.errors import UsageError
from vidrestore.options import OPTION_FIELDS, Options, resolve_options


def test_every_keyword_stands_for_a_field() -> None:
    assert Options.__annotations__.keys() == {*OPTION_FIELDS, "per_frame"}
    assert set(OPTION_FIELDS.values()) <= set(dotted_fields())


def test_what_is_given_replaces_what_the_configuration_says() -> None:
    before = resolve_config(None, {"blend.strength": 0.5, "decode.start": 2.0})
    after = resolve_options(before, {"strength": None, "start": 3.0, "model": Path("a") / "b.pth"})
    assert (after.blend.strength, after.decode.start) == (0.5, 3.0)
    assert after.restore.model == str(Path("a", "b.pth"))
    assert resolve_options(before, {}) == before


def test_frame_by_frame() -> None:
    assert resolve_options(None, {"per_frame": True}) == resolve_config(None, per_frame=True)
    assert resolve_options(None, {"per_frame": True}) != resolve_options(None, {})


def test_mistakes_are_named() -> None:
    with pytest.raises(TypeError, match=r"'overwrit'.*did you mean 'overwrite'"):
        resolve_options(None, {"overwrit": True})
    with pytest.raises(UsageError, match=r"blend\.strength"):
        resolve_options(None, {"strength": 2.0})
