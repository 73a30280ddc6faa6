"""Write the report: `index.html`, whole in itself, beside `results.jsonl` and `summary.json`.

Pictures are inlined as data URIs and there is no script, so the page can be mailed and read on a
phone. `contact_sheet.jpg` shows the same samples as one picture.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from jinja2 import Environment, PackageLoader, StrictUndefined

from vidrestore.datasets.images import encode_jpeg
from vidrestore.errors import VideoWriteError
from vidrestore.evaluation.measures import Measure, Values
from vidrestore.evaluation.plots import Plot, draw_plots
from vidrestore.evaluation.results import (
    INPUT,
    Comparison,
    Sample,
    group_title,
    summarise,
    write_results,
)
from vidrestore.runtime.extras import require_extra
from vidrestore.runtime.output_file import check_outputs, write_whole
from vidrestore.visual.label import draw_label

__all__ = ["contact_sheet", "render_page", "require_report", "write_report"]

_JPEG_QUALITY = 90
_SHEET_TILE_PX = 256
_CAPTIONED = ("psnr_db", "lpips", "identity")
_ARROWS = {"higher": "↑", "lower": "↓", "one": "→ 1", "none": ""}

RGB = npt.NDArray[np.uint8]


_FILES = ("results.jsonl", "summary.json", "contact_sheet.jpg", "index.html")


def write_report(
    folder: Path, comparisons: Sequence[Comparison], *, overwrite: bool = False
) -> Path:
    """Write all files of a report.

    Args:
        folder: made where missing.
        comparisons: of pictures, of videos, or both.
        overwrite: whether files of an earlier report are replaced.

    Returns:
        Path of the page.

    Raises:
        NotAvailableError: Matplotlib is not installed; the other files are there then.
        VideoWriteError: the folder cannot be written.
    """
    _make_folder(folder, overwrite)
    write_results(folder, comparisons, overwrite=overwrite)
    samples = [sample for comparison in comparisons for sample in comparison.samples]
    if samples:
        sheet = encode_jpeg(contact_sheet(samples), _JPEG_QUALITY)
        write_whole(folder / "contact_sheet.jpg", sheet, overwrite=overwrite)
    page = folder / "index.html"
    write_whole(page, render_page(comparisons).encode(), overwrite=overwrite)
    return page


def require_report(folder: Path, *, overwrite: bool = False) -> None:
    """Refuse, before anything is measured, what `write_report` would refuse.

    Raises:
        NotAvailableError: Matplotlib is not installed.
        VideoWriteError: the folder cannot be made, or holds a report already.
    """
    require_extra("matplotlib", "eval")
    _make_folder(folder, overwrite)


def _make_folder(folder: Path, overwrite: bool) -> None:
    """Make the report's folder, and check its files."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VideoWriteError(
            f"report {folder}: {error.strerror or error}; choose another folder"
        ) from error
    check_outputs([folder / name for name in _FILES], overwrite=overwrite)


def render_page(comparisons: Sequence[Comparison]) -> str:
    """The page as HTML.

    Raises:
        NotAvailableError: Matplotlib is not installed.
    """
    environment = Environment(
        loader=PackageLoader("vidrestore.evaluation", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("report.html.j2")
    return template.render(sections=[_section(comparison) for comparison in comparisons])


def contact_sheet(samples: Sequence[Sample]) -> RGB:
    """Samples as one picture: a row each, with the models' names above."""
    rows = [np.concatenate([_squared(tile.image) for tile in s.tiles], axis=1) for s in samples]
    width = max(row.shape[1] for row in rows)
    padded = [
        np.pad(row, ((0, 4), (0, width - row.shape[1]), (0, 0)), constant_values=255)
        for row in rows
    ]
    return np.concatenate([_names([tile.model for tile in samples[0].tiles], width), *padded])


def _section(comparison: Comparison) -> dict[str, Any]:
    summary = summarise(comparison)
    return {
        "kind": comparison.kind,
        "summary": summary,
        "models": [name for name in summary["models"] if name != INPUT],
        "table": list(_table(comparison, summary)),
        "measures": comparison.measures,
        "not_available": comparison.not_available,
        "plots": [_inline_plot(plot) for plot in draw_plots(comparison)],
        "samples": [_shown_sample(sample, comparison.measures) for sample in comparison.samples],
        "sample_rule": comparison.sample_rule,
    }


def _table(comparison: Comparison, summary: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Rows of the page's table: a measure's mean over all, then over each third and source."""
    for name, measure in comparison.measures.items():
        for group, items in summary["items"].items():
            cells = [
                _cell(model, of_group[group], name, measure)
                for model, of_group in summary["models"].items()
            ]
            if any(cell["value"] for cell in cells):
                yield {
                    "title": f"{measure.title} {_ARROWS[measure.better]}"
                    if group == "all"
                    else group_title(group, items),
                    "whole": group == "all",
                    "cells": cells,
                }


def _cell(model: str, group: Mapping[str, Values], name: str, measure: Measure) -> dict[str, str]:
    value, gain = group["mean"].get(name), group.get("gain", {}).get(name)
    error = group.get("gain_error", {}).get(name)
    told = "" if gain is None else f"{gain:+.{measure.decimals}f}"
    spread = "" if error is None else f" ± {error:.{measure.decimals}f}"
    return {
        "model": model,
        "value": "" if value is None else f"{value:.{measure.decimals}f}",
        "gain": told + spread,
        "verdict": _verdict(value, gain, error, measure),
    }


def _verdict(value: float | None, gain: float | None, error: float | None, measure: Measure) -> str:
    """Whether a gain is good or bad; neither where it is within two standard errors."""
    if value is None or gain is None or abs(gain) <= 2 * (error or 0.0) or gain == 0:
        return ""
    if measure.better == "one":
        return "good" if abs(value - 1) < abs(value - gain - 1) else "bad"
    return "good" if (gain > 0) == (measure.better == "higher") else "bad"


def _shown_sample(sample: Sample, measures: Mapping[str, Measure]) -> dict[str, Any]:
    return {
        "item": sample.item,
        "tiles": [
            {
                "model": tile.model,
                "uri": _uri("image/jpeg", encode_jpeg(tile.image, _JPEG_QUALITY)),
                "caption": _caption(tile.values, measures),
            }
            for tile in sample.tiles
        ],
    }


def _caption(values: Values, measures: Mapping[str, Measure]) -> str:
    told = []
    for name in _CAPTIONED:
        value = values.get(name)
        if name in measures and value is not None:
            title = measures[name].title.split(",")[0]
            told.append(f"{title} {value:.{min(measures[name].decimals, 3)}f}")
    return " · ".join(told)


def _inline_plot(plot: Plot) -> dict[str, Any]:
    return {"title": plot.title, "uri": _uri("image/png", plot.png), "wide": plot.wide}


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _squared(image: RGB) -> RGB:
    """The picture inside a white square tile."""
    scale = _SHEET_TILE_PX / max(image.shape[:2])
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(image, size, interpolation=method)
    tile = np.full((_SHEET_TILE_PX, _SHEET_TILE_PX, 3), 255, np.uint8)
    top, left = (_SHEET_TILE_PX - size[1]) // 2, (_SHEET_TILE_PX - size[0]) // 2
    tile[top : top + size[1], left : left + size[0]] = small
    return tile


def _names(models: Sequence[str], width: int) -> RGB:
    strip = np.full((28, width, 3), 255, np.uint8)
    for index, model in enumerate(models):
        left = index * _SHEET_TILE_PX
        tile = strip[:, left : left + _SHEET_TILE_PX]
        draw_label(tile, model, (0, 28), scale=0.5, plate=(255, 255, 255))
    return strip
