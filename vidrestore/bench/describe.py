"""What a benchmark found, as lines and as a plot for a person."""

from __future__ import annotations

from collections.abc import Iterator

from vidrestore.bench.runs import BenchResult, Case
from vidrestore.visual.figures import new_figure, png_bytes
from vidrestore.visual.palette import GREY, get_colour

__all__ = ["describe", "plot_stages"]


def describe(result: BenchResult) -> list[str]:
    """The result as lines of a table."""
    lines = [result.source]
    lines += [f"  {name:<15}{fact}" for name, fact in result.machine.items()]
    for case in result.cases:
        lines += _describe_case(case)
    for device in dict.fromkeys(case.device for case in result.cases):
        growth = result.memory_growth(device)
        counts = [case.frames for case in result.cases if case.device == device]
        if growth is not None:
            lines.append(
                f"{device}: peak memory, {max(counts)} frames over {min(counts)}: "
                f"{100 * (growth - 1):+.1f} %"
            )
    return lines


def _describe_case(case: Case) -> Iterator[str]:
    run = case.median_run
    on_device = run.peak_device_memory_mib
    yield (
        f"{case.device}, {case.frames} frames: {case.speed:.3f} frames/s, "
        f"{run.faces_per_s:.3f} faces/s, {run.faces} faces, "
        f"{run.cpu_ms_per_frame:.0f} ms of CPU a frame, "
        f"peak {run.peak_memory_mib or 0:.0f} MiB"
        + (f", on the device {on_device:.0f} MiB" if on_device else "")
    )
    for name, ms in run.stage_ms_per_frame.items():
        yield f"  {name:<18}{ms:9.1f} ms a frame"
    if case.network is not None:
        speed = case.network
        yield (
            f"  {run.model}: {speed.gflop_per_face:.1f} GFLOP a face (multiply-adds count twice), "
            f"{speed.gflop_per_s:.0f} GFLOP/s, {100 * speed.share:.0f} % of the measured "
            f"{speed.ceiling_gflop_per_s:.0f}"
        )
    for other in case.theirs:
        yield (
            f"  against: {other.frames_per_s:.3f} frames/s, {other.faces} faces, "
            f"{other.cpu_ms_per_frame:.0f} ms of CPU a frame"
        )
    if case.ratio is not None:
        yield (
            f"  ratio: {case.ratio:.2f} times the other program's frames per second, "
            f"{case.cpu_ratio:.2f} times by CPU time"
        )


def plot_stages(result: BenchResult) -> bytes:
    """Time inside each stage, a bar for each case, as a PNG file.

    Raises:
        NotAvailableError: Matplotlib is not installed.
    """
    names = list(dict.fromkeys(n for c in result.cases for n in c.median_run.stage_ms_per_frame))
    figure, [axes] = new_figure(width=9.0, row_height=1.2 + 0.6 * len(result.cases))
    labels = [f"{case.device}, {case.frames} frames" for case in result.cases]
    left = [0.0] * len(labels)
    for number, name in enumerate(names):
        widths = [case.median_run.stage_ms_per_frame.get(name, 0.0) for case in result.cases]
        waits = name.startswith("wait for")
        colour = GREY if waits else get_colour(number)
        axes.barh(labels, widths, left=left, color=colour, alpha=0.4 if waits else 1, label=name)
        left = [begin + width for begin, width in zip(left, widths, strict=True)]
    axes.set_xlabel("ms a frame inside each stage; stages run beside each other")
    axes.legend(frameon=False, fontsize=8, ncols=5, loc="lower left", bbox_to_anchor=(0, 1))
    return png_bytes(figure)
