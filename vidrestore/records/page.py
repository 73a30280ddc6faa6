"""Pages to look at: one of a video, and one of a batch; each whole in itself, and all escaped.

Pictures are data URIs, scripts and styles lie inside, and the page's own policy lets nothing else
be loaded. Names and tags come from strangers' files: the templates escape every value.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from vidrestore.records.track_chart import draw_tracks
from vidrestore.runtime.printable import printable, well_formed_record
from vidrestore.runtime.words import counted, sized

if TYPE_CHECKING:
    from vidrestore.jobs.samples import FaceSamples

__all__ = ["render_batch", "render_video"]

_MOST_SPANS = 50
"""Rows of rectangles on a page."""


def render_video(record: dict[str, Any], samples: FaceSamples | None) -> str:
    """The page of one video.

    Args:
        record: of `records.record`, of a video that is done or failed.
        samples: what the run showed; None where it failed.
    """
    report = record.get("report", {})
    repairs = report.get("repaired_s", [])
    return _render(
        "video.html.j2",
        name=Path(record.get("output", record["input"])["path"]).name,
        record=record,
        facts=list(_facts(record)),
        people=[] if samples is None else _people(record, samples),
        plot=None if samples is None else draw_tracks(samples, repairs),
        repairs=list(_grouped(repairs)),
        notes=report.get("notes", record.get("warnings", [])),
        fixity=list(_fixity(record)),
        streams=list(_streams(record)),
        stages=list(report.get("stage_seconds", {}).items()),
        options=yaml.safe_dump(record["options"], sort_keys=False),
        slider_js=_script("img-comparison-slider.js"),
        sort_js=_script("sort.js"),
    )


def render_batch(
    name: str, counts: Sequence[tuple[str, int]], rows: Sequence[dict[str, Any]], time: str
) -> str:
    """The page of a batch.

    Args:
        name: of the batch.
        counts: (status, number of videos).
        rows: of each video name, page (a relative URL, or None), status, frames, seconds and time
            (the same in words), bytes and size (likewise), attempts and about.
        time: when it was so.
    """
    return _render(
        "batch.html.j2",
        name=name,
        counts=[(status, count) for status, count in counts if count],
        rows=rows,
        time=time,
        sort_js=_script("sort.js"),
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("vidrestore.records", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )


def _shown(value: object) -> object:
    """Text without what reorders or breaks lines: names must not pose as other names."""
    if hasattr(value, "__html__") or not isinstance(value, str):
        return value
    return "\n".join(printable(line) for line in value.split("\n"))


def _render(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(**well_formed_record(values))


@cache
def _script(name: str) -> str:
    return (resources.files("vidrestore.records") / "static" / name).read_text(encoding="utf-8")


def _facts(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    source, output = record["input"], record.get("output")
    yield "input", f"{source['path']}{_size(source)}"
    if output is not None:
        yield "output", f"{output['path']}{_size(output)}"
        yield (
            "picture",
            (
                f"{output['width']}x{output['height']}, {record['report']['codec']}, "
                f"{output['pix_fmt']}"
            ),
        )
    for title, named in (("model", record.get("model")), ("detector", record.get("detector"))):
        if named is not None:
            yield title, f"{named['name']}, sha256 {named['sha256'] or 'unknown'}"
    if "device" in record:
        device = record["device"]
        precision = f", {device['precision']}" if device["precision"] else ""
        shared = [f"{counted(n, 'segment')} on {kind}" for kind, n in device["segments"].items()]
        told = ", ".join(shared) or f"{device['name']} ({device['hardware']})"
        yield "device", told + precision
    if "frames" in record:
        frames = record["frames"]
        yield (
            "frames",
            (
                f"{frames['decoded']} decoded, {frames['repaired']} repaired, "
                f"{frames['written']} written"
            ),
        )
        faces, cuts = record["report"]["faces"], record["report"]["cuts"]
        yield (
            "faces",
            f"{counted(faces, 'face')} of {counted(len(record['people']), 'person', 'people')}",
        )
        yield "cuts", str(len(cuts))
        yield "time", f"{record['report']['seconds']:.1f} s"
    yield "program", f"vidrestore {record['program']['vidrestore']}, on {record['program']['host']}"
    yield "begun", record["begun"]


def _size(file: dict[str, Any]) -> str:
    return "" if file.get("bytes") is None else f" ({sized(file['bytes'])})"


def _people(record: dict[str, Any], samples: FaceSamples) -> list[dict[str, Any]]:
    known = {one["track_id"]: one for one in record["people"]}
    return [
        {
            "track": sample.track_id,
            "before": _uri(sample.before),
            "after": _uri(sample.after),
            "width": sample.width,
            "height": sample.height,
            "at": f"{sample.time_s:.2f} s",
            "about": _about(known.get(sample.track_id)),
        }
        for sample in sorted(samples.best.values(), key=lambda one: one.track_id)
    ]


def _about(person: dict[str, Any] | None) -> str:
    if person is None:
        return ""
    frames = f"Restored in {person['restored_frames']} of {person['frames']} frames"
    gates = ", ".join(f"{name} {count}" for name, count in person["gated_by"].items())
    return f"{frames}, mean strength {person['mean_strength']:.2f}" + (
        f"; held back by {gates}" if gates else ""
    )


def _grouped(repaired_s: Sequence[float]) -> Iterator[dict[str, Any]]:
    """Repaired frames that follow one another within a tenth of a second share a row."""
    group: list[float] = []
    for time_s in [*repaired_s, None]:
        if group and (time_s is None or time_s - group[-1] > 0.1):
            until = f" to {group[-1]:.3f}" if len(group) > 1 else ""
            yield {"time": f"{group[0]:.3f}{until} s", "frames": len(group)}
            group = []
        group += [] if time_s is None else [time_s]


def _fixity(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    fixity = record.get("fixity")
    if fixity is None:
        return
    yield "sha256 of the input", fixity["input_sha256"] or "none, for it is no single file"
    yield "sha256 of the output", fixity["output_sha256"]
    yield "checksums of frames", f"{fixity['framemd5']} ({fixity['frames_decoded_again']} frames)"
    yield "picture", fixity["picture"]["statement"]
    rectangles = fixity["picture"].get("rectangles", [])
    for first, last, boxes in rectangles[:_MOST_SPANS]:
        places = "; ".join(f"x {x}, y {y}, {width}x{height}" for x, y, width, height in boxes)
        yield f"frames {first} to {last}", places
    if len(rectangles) > _MOST_SPANS:
        yield "and", f"{len(rectangles) - _MOST_SPANS} more rows, which are in the record"


def _streams(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    planned = {one["index"]: one for one in record.get("planned", {}).get("streams", [])}
    for stream in record["input"].get("streams", []):
        yield stream | {"action": planned.get(stream["index"], {}).get("action", "")}


def _uri(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"
