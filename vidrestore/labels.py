"""`labels.csv`: what is known of a folder's face pictures."""

from __future__ import annotations

import csv
from pathlib import Path

from vidrestore.errors import DataError

__all__ = ["read_labels"]


def read_labels(path: Path) -> list[dict[str, str]]:
    """The rows, with a column `file` at least.

    Raises:
        DataError: It cannot be read, or has no such column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:  # Spreadsheets write a mark.
            rows = list(csv.DictReader(lines))
    except OSError as error:
        raise DataError(f"labels {path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"labels {path}: {error}; save it as comma-separated UTF-8") from error
    if not rows or "file" not in rows[0]:
        raise DataError(f"labels {path}: no rows with a column 'file'")
    return rows
