"""What commands share about the files they write."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from vidrestore.runtime.output_file import write_whole
from vidrestore.runtime.printable import well_formed_record

__all__ = ["overwrite_option", "write_json"]

overwrite_option = click.option(
    "--overwrite", is_flag=True, help="replace existing outputs (an input is never replaced)"
)


def write_json(
    path: Path, record: dict[str, Any], *, inputs: Iterable[Path] = (), overwrite: bool = False
) -> None:
    """Write a record as JSON, completely or not at all."""
    data = json.dumps(well_formed_record(record), indent=2, default=str) + "\n"
    write_whole(path, data.encode(), inputs=inputs, overwrite=overwrite)
