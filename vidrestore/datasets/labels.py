"""`labels.csv`: what is known of a folder's face pictures."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidrestore.errors import DataError
from vidrestore.landmarks import eye_distance

__all__ = ["LANDMARKS", "find_labels", "labelled_landmarks", "labelled_numbers", "read_labels"]

LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
"""The five landmarks; their columns are ``left_eye_x``, ``left_eye_y`` …"""

_LANDMARK_COLUMNS = tuple(f"{point}_{axis}" for point in LANDMARKS for axis in "xy")


def find_labels(folder: Path) -> tuple[Path, list[dict[str, str]]] | None:
    """The labels of a folder: its own, or those of the folder it lies in, as far as they name
    pictures in it.

    Returns:
        The file and its rows, `file` relative to the folder; None where there are no labels.

    Raises:
        DataError: They cannot be read.
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


def labelled_numbers(
    row: Mapping[str, str], columns: tuple[str, ...], labels: Path
) -> NDArray[np.float64]:
    """Numbers of a row, finite ones.

    Raises:
        DataError: A column is missing, or holds no number.
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
        if not np.isfinite(numbers[-1]):
            raise DataError(f"labels {labels}: {row['file']}: {column} is {row[column]}")
    return np.array(numbers)


def labelled_landmarks(row: Mapping[str, str], labels: Path) -> NDArray[np.float64]:
    """(5, 2) landmarks of a row, in pixels of its picture.

    Raises:
        DataError: A column is missing or holds no number, or both eyes are in one place.
    """
    points = labelled_numbers(row, _LANDMARK_COLUMNS, labels).reshape(5, 2)
    if eye_distance(points) < 1:
        raise DataError(f"labels {labels}: {row['file']}: both eyes are in one place")
    return points
