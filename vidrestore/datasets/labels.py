"""`labels.csv`: what is known of a folder's face pictures."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidrestore.errors import DataError
from vidrestore.landmarks import eye_distance
from vidrestore.runtime.inputs import read_bytes

__all__ = ["LANDMARKS", "find_labels", "labelled_landmarks", "labelled_numbers", "read_labels"]

LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
"""The five landmarks; their columns are ``left_eye_x``, ``left_eye_y`` …"""

_LANDMARK_COLUMNS = tuple(f"{point}_{axis}" for point in LANDMARKS for axis in "xy")

_MOST_BYTES = 1 << 26
_MOST_LINE = 10_000
_MOST_CELLS = 10_000_000
"""Rows times columns: such as 500,000 faces with 20 columns."""
_MOST_PX = 1_000_000


def find_labels(folder: Path) -> tuple[Path, list[dict[str, str]]] | None:
    """The labels of a folder: its own, or those of the folder it lies in, as far as they name
    pictures in it.

    Returns:
        The file and its rows, `file` relative to the folder; None where there are no labels.

    Raises:
        DataError: they cannot be read.
    """
    own = folder / "labels.csv"
    if own.is_file():
        return own, read_labels(own)
    folder = folder.absolute()
    above, prefix = folder.parent / "labels.csv", f"{folder.name}/"
    if not above.is_file():
        return None
    rows = [row for row in read_labels(above) if row["file"].startswith(prefix)]
    if not rows:
        return None
    return above, [{**row, "file": row["file"].removeprefix(prefix)} for row in rows]


def read_labels(path: Path) -> list[dict[str, str]]:
    """The rows, with a column `file` at least.

    Raises:
        DataError: it cannot be read, has no such column or a row that does not fit its head, or is
            larger than a data set's.
    """
    data = read_bytes(path, f"labels {path}", _MOST_BYTES, DataError)
    try:
        text = data.decode("utf-8-sig")  # Spreadsheets write a mark.
        rows = list(_checked_rows(text, path))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"labels {path}: {error}; save it as comma-separated UTF-8") from error
    if not rows:
        raise DataError(f"labels {path}: no rows with a column 'file'")
    return rows


def _checked_rows(text: str, path: Path) -> Iterator[dict[str, str]]:
    reader = csv.DictReader(_checked_lines(text, path))
    columns = list(reader.fieldnames or ())
    if "file" not in columns:
        raise DataError(f"labels {path}: no rows with a column 'file'")
    for number, row in enumerate(reader, start=1):
        if number * len(columns) > _MOST_CELLS:
            raise DataError(
                f"labels {path}: more than {_MOST_CELLS // len(columns)} rows of {len(columns)} "
                "columns; split the folder, or leave columns out"
            )
        if not row["file"] or None in row:
            what = "more columns than the first line" if None in row else "no file"
            raise DataError(f"labels {path}: line {reader.line_num} has {what}; mend it")
        yield row


def _checked_lines(text: str, path: Path) -> Iterator[str]:
    for number, line in enumerate(io.StringIO(text, newline=""), start=1):
        if len(line) > _MOST_LINE:
            raise DataError(
                f"labels {path}: line {number} has {len(line)} characters, more than the "
                f"{_MOST_LINE} that one may have; save it as comma-separated UTF-8"
            )
        yield line


def labelled_numbers(
    row: Mapping[str, str], columns: tuple[str, ...], labels: Path
) -> NDArray[np.float64]:
    """Numbers of a row, in pixels.

    Raises:
        DataError: a column is missing, or holds no number, or one beyond any picture.
    """
    numbers = []
    for column in columns:
        try:
            numbers.append(float(row[column]))
        except KeyError as error:
            raise DataError(f"labels {labels}: no column {column!r}") from error
        except (TypeError, ValueError) as error:
            raise DataError(
                f"labels {labels}: {row['file']}: {column} is no number, but {row[column]!r}"
            ) from error
        if not abs(numbers[-1]) <= _MOST_PX:
            raise DataError(f"labels {labels}: {row['file']}: {column} is {row[column]}")
    return np.array(numbers)


def labelled_landmarks(row: Mapping[str, str], labels: Path) -> NDArray[np.float64]:
    """(5, 2) landmarks of a row, in pixels of its picture.

    Raises:
        DataError: a column is missing or holds no number, or both eyes are in one place.
    """
    points = labelled_numbers(row, _LANDMARK_COLUMNS, labels).reshape(5, 2)
    if eye_distance(points) < 1:
        raise DataError(f"labels {labels}: {row['file']}: both eyes are in one place")
    return points
