"""The keywords of daily use, and the fields of the configuration that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from vidrestore.config import ConfigLike, RestoreConfig, resolve_config
from vidrestore.errors import nearest

__all__ = ["OPTION_FIELDS", "Options", "resolve_options"]


class Options(TypedDict, total=False):
    """The keywords of daily use; each stands for a field of the configuration, see `OPTION_FIELDS`.

    One that is None or left out keeps what the configuration says.
    """

    model: str | Path | None
    """A name from `vidrestore models list`, a weights file, or "auto" (best installed)."""
    detector: str | Path | None
    """The face detector, by name or weights file."""
    device: str | None
    """"auto", "cpu", "cuda", "cuda:1"."""
    strength: float | None
    """Share of the restored face, 0 to 1."""
    start: float | None
    """First second to restore; only frames in [start, end) come out."""
    end: float | None
    """Stop before this second."""
    crf: float | None
    """Constant quality of the encoder."""
    codec: str | None
    """Video codec, or "auto"."""
    overwrite: bool | None
    """Whether existing outputs are replaced."""
    per_frame: bool
    """Treat every frame by itself, as restorers of pictures do; see `config.PER_FRAME`."""


OPTION_FIELDS = {
    "model": "restore.model",
    "detector": "detect.detector",
    "strength": "blend.strength",
    "device": "run.device",
    "start": "decode.start",
    "end": "decode.end",
    "crf": "encode.crf",
    "codec": "encode.codec",
    "overwrite": "encode.overwrite",
}
"""The fields of the configuration that the keywords stand for."""


def resolve_options(config: ConfigLike, options: Mapping[str, Any]) -> RestoreConfig:
    """The configuration with the keywords of `Options` applied.

    Raises:
        TypeError: a keyword does not exist; the nearest one is named.
        UsageError: a value is wrong.
    """
    known = (*OPTION_FIELDS, "per_frame")
    for name in options:
        if name not in known:
            raise TypeError(f"unexpected keyword {name!r}{nearest(name, known)}")
    given = {
        OPTION_FIELDS[name]: str(value) if isinstance(value, Path) else value
        for name, value in options.items()
        if name in OPTION_FIELDS and value is not None
    }
    per_frame = bool(options.get("per_frame"))
    return resolve_config(config, given, per_frame=per_frame)
