"""The models of a comparison, looked up before anything is measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidrestore.errors import UnknownModelError, UsageError, WeightsError
from vidrestore.evaluation.models import list_models


def test_the_input_is_no_contender_and_others_are_named_once() -> None:
    (only,) = list_models(["input", "embedded"])
    assert only.name == "embedded"
    assert only.sha256 is not None
    with pytest.raises(UsageError, match="name each model once"):
        list_models(["embedded", "embedded"])


def test_what_is_missing_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.pth: no such file"):
        list_models(["embedded", str(tmp_path / "none.pth")])
    with pytest.raises(UnknownModelError, match="embeded"):
        list_models(["embeded"])


def test_a_file_is_known_by_its_name_with_and_without_an_architecture(tmp_path: Path) -> None:
    odd, plain = tmp_path / "a#b.pth", tmp_path / "c.pth"
    odd.write_bytes(b"1")
    plain.write_bytes(b"2")
    one, two = list_models([str(odd), f"{plain}#CompactUNet"])
    assert (one.name, two.name) == ("a#b.pth", "c.pth")
    assert one.sha256 != two.sha256


def test_every_model_competes_twice_where_frames_are_also_restored_alone() -> None:
    names = [one.name for one in list_models(["embedded"], per_frame=True)]
    assert names == ["embedded", "embedded (per frame)"]
