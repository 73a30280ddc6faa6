"""Manifests: a table of videos with options for each, as CSV or JSON lines.

    input,output,strength,track.file
    tapes/N_123_01of04.mov,,0.6,
    tapes/N_123_02of04.mov,reel/two.mkv,,edited.json

`output` is a path in the output folder; where it is empty, it follows from the input's name. Other
columns are options by their name in YAML, or a short one. Paths are relative to the manifest.
Semicolons separate cells where the head has no comma.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidrestore.config import dotted_fields, resolve_config
from vidrestore.errors import UsageError, nearest
from vidrestore.runtime.inputs import read_bytes

__all__ = ["MANIFEST_ENDINGS", "Listed", "read_manifest"]

MANIFEST_ENDINGS = (".csv", ".jsonl", ".ndjson")

_MOST_BYTES = 200_000_000
_OF_BATCH = ("run.device", "run.threads")
"""Which the workers decide."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One video that is meant."""

    source: Path
    relative: Path
    """Where it lies in the folder that was given; else its name."""
    output: Path | None = None
    """Of a manifest, relative to the output folder."""
    options: dict[str, Any] = field(default_factory=dict)
    """Of a manifest, {'stage.field': value}."""


def read_manifest(path: Path, short_names: Mapping[str, str]) -> Iterator[Listed]:
    """The videos of a manifest.

    Args:
        path: of the file.
        short_names: {"strength": "blend.strength"}.

    Raises:
        UsageError: it cannot be read, or a row is wrong; names the line.
    """
    named = f"manifest {path}"
    try:
        text = read_bytes(path, named, _MOST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{named}: not a text file in UTF-8") from error
    rows = _csv_rows(text, named) if path.suffix.lower() == ".csv" else _json_rows(text, named)
    is_empty = True
    for number, row in rows:
        is_empty = False
        yield _listed(row, f"{named}, line {number}", path.absolute().parent, short_names)
    if is_empty:
        raise UsageError(f"{named}: lists no videos; it needs a line for each, below a head in CSV")


def _csv_rows(text: str, named: str) -> Iterator[tuple[int, dict[str, Any]]]:
    head = text.lstrip().partition("\n")[0]
    delimiter = ";" if ";" in head and "," not in head else ","  # as spreadsheets of many countries
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    try:
        for row in reader:
            if any(map(str.strip, row.pop(None, ()))):
                raise UsageError(
                    f"{named}, line {reader.line_num}: more cells than columns; put what holds a "
                    f"{delimiter!r} in double quotes"
                )
            given = {
                key.strip(): cell.strip() for key, cell in row.items() if cell and cell.strip()
            }
            if given:
                yield reader.line_num, given
    except csv.Error as error:
        raise UsageError(f"{named}, line {reader.line_num + 1}: {error}") from error


def _json_rows(text: str, named: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{named}, line {number}: not valid JSON") from error
        if not isinstance(row, dict):
            raise UsageError(
                f'{named}, line {number}: needs an object, such as {{"input": "a.mov"}}'
            )
        yield number, {key: value for key, value in row.items() if value not in (None, "")}


def _listed(
    row: dict[str, Any], named: str, folder: Path, short_names: Mapping[str, str]
) -> Listed:
    source, output = row.pop("input", None), row.pop("output", None)
    if not isinstance(source, str) or not isinstance(output, str | None):
        raise UsageError(f"{named}: needs a column 'input' with the path of a video")
    options = {_field(name, named, short_names): value for name, value in row.items()}
    known = dotted_fields()
    for dotted, value in options.items():
        stage, name = known[dotted]
        if isinstance(stage.model_fields[name].default, tuple) and isinstance(value, str):
            options[dotted] = [part.strip() for part in value.split(",")]
        elif dotted == "track.file":
            options[dotted] = str(folder / str(value))
    try:
        resolve_config(None, options)
    except UsageError as error:
        raise UsageError(f"{named}: {error}") from error
    return Listed(
        folder / source,
        Path(Path(source).name),
        None if output is None else Path(output),
        options,
    )


def _field(name: str, named: str, short_names: Mapping[str, str]) -> str:
    dotted = short_names.get(name.replace("-", "_"), name)
    if dotted in _OF_BATCH:
        raise UsageError(f"{named}: {name} is the workers'; give --devices and --workers instead")
    if dotted not in dotted_fields():
        known = ("input", "output", *short_names, *dotted_fields())
        raise UsageError(f"{named}: unknown column {name!r}{nearest(name, known)}")
    return dotted
