"""The results of a comparison: rows, their means by thirds, a table, and files.

`results.jsonl` begins with a header line (protocol, seed, versions, models with their sha256,
measures, what is not available), then holds a line for every item and model. It depends on the
data, models and options alone: no times, no paths of the machine.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidrestore.evaluation.measures import Measure, Values, json_number
from vidrestore.runtime.output_file import write_whole
from vidrestore.visual.track_plot import TrackPlot

__all__ = [
    "GROUPS",
    "INPUT",
    "TRUTH",
    "Comparison",
    "Row",
    "Sample",
    "Tile",
    "group_title",
    "summarise",
    "table_lines",
    "write_results",
]

INPUT, TRUTH = "input", "truth"
GROUPS = ("all", "hardest", "middle", "easiest")
_SOURCE = "source "
"""Before the name of a source, so that it cannot be taken for another group."""
_OF_SOURCE = ", "
"""Between the name of a source and that of a third."""
_SOURCE_ENDS = tuple(f"{_OF_SOURCE}{third}" for third in GROUPS[1:])
_THIRDS_FROM = 3
"""With fewer items there are no thirds."""


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one item restored by one model."""

    item: str
    """Name of the picture or video."""
    model: str
    """The model's name; "input" for what was not restored, "truth" for the truth itself."""
    values: Values


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """One picture of a contact sheet."""

    model: str
    image: npt.NDArray[np.uint8]
    """(H, W, 3) RGB."""
    values: Values = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One row of a contact sheet: the input, every model, the truth."""

    item: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Everything that one run found."""

    kind: str
    """"pictures" or "videos"."""
    header: Mapping[str, Any]
    """Protocol, seed, versions, models and so on, as JSON."""
    measures: Mapping[str, Measure]
    """Those that were taken, by name."""
    not_available: Mapping[str, str]
    models: tuple[str, ...]
    """Names in the order asked for; the input is not among them."""
    rows: tuple[Row, ...]
    """Item by item, the input first."""
    sets: Mapping[str, Values] = field(default_factory=dict)
    """Measures of whole sets, by model."""
    samples: tuple[Sample, ...] = ()
    sample_rule: str = ""
    """How the samples were chosen."""
    series: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]] = field(default_factory=dict)
    """Of videos: values frame by frame, by item, measure and model."""
    tracks: Mapping[str, TrackPlot] = field(default_factory=dict)
    """Of videos: the alignments of all faces, by what the page calls them."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Of pictures: where they come from, by item, as far as labels say so."""

    def column(self, model: str, measure: str) -> npt.NDArray[np.float64]:
        """One measure of all items for one model, NaN where there is no answer."""
        found = [row.values.get(measure) for row in self.rows if row.model == model]
        return np.array([math.nan if value is None else value for value in found])

    def with_samples(self, samples: Sequence[Sample], rule: str) -> Comparison:
        """The same with a contact sheet."""
        return replace(self, samples=tuple(samples), sample_rule=rule)


def summarise(comparison: Comparison) -> dict[str, Any]:
    """Means over all items, thirds by the input's identity and sources, and gains over the input.

    The hardest third has the lowest identity of the input to the truth (PSNR where identity was not
    measured); a source's is what it has of that third, which may be few items or none. A gain's
    error is the standard error of the mean difference over the items.
    """
    by = thirds_by(comparison)
    groups = _groups(comparison, by)
    models = {}
    for model in (INPUT, *comparison.models, TRUTH):
        if not any(row.model == model for row in comparison.rows):
            continue
        models[model] = {group: _means(comparison, model, rows) for group, rows in groups.items()}
    return {
        "kind": comparison.kind,
        **comparison.header,
        "thirds_by": by if GROUPS[1] in groups else None,
        "items": {group: len(rows) for group, rows in groups.items()},
        "models": models,
    }


def thirds_by(comparison: Comparison) -> str:
    """The measure of the input that says how hard an item is."""
    known = np.isfinite(comparison.column(INPUT, "identity"))
    return "identity" if len(known) and known.all() else "psnr_db"


def order_by_difficulty(comparison: Comparison) -> list[int]:
    """Indices of the items, the hardest first."""
    column = comparison.column(INPUT, thirds_by(comparison))
    return [int(i) for i in np.argsort(column, kind="stable")]


def _groups(comparison: Comparison, by: str) -> dict[str, list[int]]:
    count = len(comparison.column(INPUT, by))
    groups = {"all": list(range(count))}
    measured = np.isfinite(comparison.column(INPUT, by)).all()
    if comparison.kind == "pictures" and count >= _THIRDS_FROM and measured:
        thirds = np.array_split(np.array(order_by_difficulty(comparison)), 3)
        groups |= {
            name: [int(i) for i in third] for name, third in zip(GROUPS[1:], thirds, strict=True)
        }
    sources = _by_source(comparison)
    return groups | sources | _thirds_of_sources(groups, sources)


def _thirds_of_sources(
    groups: Mapping[str, list[int]], sources: Mapping[str, list[int]]
) -> dict[str, list[int]]:
    """What each source has of the thirds of all items, where it has any."""
    parts = {
        f"{source}{_OF_SOURCE}{third}": [i for i in groups[third] if i in members]
        for source, members in ((name, set(rows)) for name, rows in sources.items())
        for third in GROUPS[1:]
        if third in groups
    }
    return {name: rows for name, rows in parts.items() if rows}


def _by_source(comparison: Comparison) -> dict[str, list[int]]:
    """The items of each source, where there are several."""
    items = [row.item for row in comparison.rows if row.model == INPUT]
    sources = [comparison.sources.get(item, "not known") for item in items]
    if len(set(sources)) < 2:
        return {}
    return {
        f"{_SOURCE}{source}": [i for i, own in enumerate(sources) if own == source]
        for source in sorted(set(sources))
    }


def group_title(group: str, count: int) -> str:
    """What a table calls a part of the items, of so many."""
    return f"{group} ({count})" if group.startswith(_SOURCE) else f"{group} third"


def _means(comparison: Comparison, model: str, rows: list[int]) -> dict[str, Values]:
    whole = len(rows) == len(comparison.column(INPUT, thirds_by(comparison)))
    found: dict[str, Values] = {"mean": {}, "gain": {}, "gain_error": {}}
    for name in comparison.measures:
        own, before = (comparison.column(m, name) for m in (model, INPUT))
        if whole and name in comparison.sets.get(model, {}):
            value, first = comparison.sets[model][name], comparison.sets[INPUT][name]
            found["mean"][name] = value
            if model not in (INPUT, TRUTH) and value is not None and first is not None:
                found["gain"][name] = json_number(value - first)
        elif np.isfinite(own[rows]).any():
            found["mean"][name] = json_number(float(np.nanmean(own[rows])))
            if model not in (INPUT, TRUTH):
                found["gain"][name], found["gain_error"][name] = _gain(own[rows] - before[rows])
    return found if model not in (INPUT, TRUTH) else {"mean": found["mean"]}


def _gain(differences: npt.NDArray[np.float64]) -> tuple[float | None, float | None]:
    known = differences[np.isfinite(differences)]
    if not len(known):
        return None, None
    error = known.std(ddof=1) / np.sqrt(len(known)) if len(known) > 1 else math.nan
    return json_number(float(known.mean())), json_number(float(error))


def table_lines(comparison: Comparison, summary: Mapping[str, Any]) -> Iterator[str]:
    """The summary as lines for a terminal, without the thirds of each source."""
    models = [name for name in summary["models"] if name != INPUT]
    width = max([20, *(len(name) + 2 for name in models)])
    count = summary["items"]["all"]
    yield (
        f"{count} {comparison.kind}, protocol {summary['protocol']['name']}, "
        f"seed {summary['seed']}; gains over the input in brackets"
    )
    yield f"{'':28}{INPUT:>12}" + "".join(f"{name:>{width}}" for name in models)
    for name, measure in comparison.measures.items():
        for group, items in summary["items"].items():
            if group.startswith(_SOURCE) and group.endswith(_SOURCE_ENDS):
                continue
            if name not in summary["models"][INPUT][group]["mean"] and not any(
                name in summary["models"][model][group]["mean"] for model in models
            ):
                continue
            title = measure.title if group == "all" else f"  {group_title(group, items)}"
            first = _shown(summary["models"][INPUT][group]["mean"].get(name), measure)
            cells = (_cell(summary["models"][model][group], name, measure) for model in models)
            yield f"{title:28}{first:>12}" + "".join(f"{cell:>{width}}" for cell in cells)
    for name, reason in comparison.not_available.items():
        yield f"{name}: {reason}"


def _cell(group: Mapping[str, Values], name: str, measure: Measure) -> str:
    gain = group.get("gain", {}).get(name)
    told = "" if gain is None else f" ({gain:+.{measure.decimals}f})"
    return _shown(group["mean"].get(name), measure) + told


def _shown(value: float | None, measure: Measure) -> str:
    return "-" if value is None else f"{value:.{measure.decimals}f}"


def write_results(
    folder: Path, comparisons: Sequence[Comparison], *, overwrite: bool = False
) -> None:
    """Write `results.jsonl` and `summary.json`."""
    lines = []
    for comparison in comparisons:
        lines.append({"kind": "header", "of": comparison.kind, **comparison.header})
        kind = comparison.kind.removesuffix("s")
        for row in comparison.rows:
            source = comparison.sources.get(row.item)
            known = {} if source is None else {"source": source}
            line = {"kind": kind, "item": row.item, **known, "model": row.model}
            lines.append({**line, **row.values})
        for model, values in comparison.sets.items():
            lines.append({"kind": "set", "model": model, **values})
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    write_whole(folder / "results.jsonl", text.encode(), overwrite=overwrite)
    summaries = [summarise(comparison) for comparison in comparisons]
    content = summaries[0] if len(summaries) == 1 else summaries
    shown = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    write_whole(folder / "summary.json", shown.encode(), overwrite=overwrite)
