"""Triton kernels for what surrounds the convolutions of a generator on a GPU.

Separate operations would each carry whole feature maps through memory; these carry them once.
`vidrestore.models.layers.fused` has the functions that call them and says what each one computes.

Convention: feature maps are channels last, so a pixel's channels lie together. Arithmetic is in
float32, whatever the maps' format. A program computes pixels x channels, `WIDE` x `DEEP`; an
operand that is None is left out when the kernel is compiled.
"""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["double_edges", "filter_and_finish", "finish"]


@triton.jit
def _finished(
    y, sample, pixel, channel, inside, factors, noise, strength, bias, scale, shift, after,
    gain, slope, channels, n_pixels, noise_step, n_kept,
):  # fmt: skip
    """What `fused.finish` makes of a tile of values."""
    here = channel < channels
    if factors is not None:
        y *= tl.load(factors + sample * channels + channel, here, 0.0).to(tl.float32)[None, :]
    if noise is not None:
        drawn = tl.load(noise + sample * noise_step + pixel, pixel < n_pixels, 0.0).to(tl.float32)
        y += (drawn * tl.load(strength).to(tl.float32))[:, None]
    elif strength is not None:
        y *= tl.load(strength).to(tl.float32)
    if bias is not None:
        y += tl.load(bias + channel, here, 0.0).to(tl.float32)[None, :]
    y *= gain
    y = tl.where(y > 0, y, y * slope)
    if shift is not None:
        steered = channel - n_kept
        start = sample.to(tl.int64) * n_pixels * (channels - n_kept)
        place = start + pixel[:, None] * (channels - n_kept) + steered[None, :]
        known = inside & (steered >= 0)[None, :]
        if scale is not None:
            y *= tl.load(scale + place, known, 1.0).to(tl.float32)
        y += tl.load(shift + place, known, 0.0).to(tl.float32)
    if after is not None:
        y *= tl.load(after + sample * channels + channel, here, 0.0).to(tl.float32)[None, :]
    return y


@triton.jit
def finish(
    out, y, factors, noise, strength, bias, scale, shift, after,
    gain, slope, channels, n_pixels, noise_step, n_kept, out_step,
    WIDE: tl.constexpr, DEEP: tl.constexpr,
):  # fmt: skip
    """`fused.finish`; `out_step` is the distance between two pixels of `out`."""
    sample = tl.program_id(2)
    pixel = tl.program_id(0) * WIDE + tl.arange(0, WIDE)
    channel = tl.program_id(1) * DEEP + tl.arange(0, DEEP)
    inside = (pixel < n_pixels)[:, None] & (channel < channels)[None, :]
    start = sample.to(tl.int64) * n_pixels
    given = start * channels + pixel[:, None] * channels + channel[None, :]
    values = _finished(
        tl.load(y + given, inside, 0.0).to(tl.float32), sample, pixel, channel, inside,
        factors, noise, strength, bias, scale, shift, after,
        gain, slope, channels, n_pixels, noise_step, n_kept,
    )  # fmt: skip
    made = start * out_step + pixel[:, None] * out_step + channel[None, :]
    tl.store(out + made, values.to(out.dtype.element_ty), inside)


@triton.jit
def _filtered_row(x, taps, row, first, channel, channels, height, width):
    """A row of `x`, filtered along itself; zeros beyond its ends, and for a row that is not."""
    total = tl.zeros((first.shape[0], channel.shape[0]), tl.float32)
    for tap in tl.static_range(4):
        column = first + tap
        there = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        place = (row * width + column)[:, None] * channels + channel[None, :]
        known = there[:, None] & (channel < channels)[None, :]
        total += tl.load(taps + tap) * tl.load(x + place, known, 0.0).to(tl.float32)
    return total


@triton.jit
def _edges_at(edges, row, column, channel, channels, side, n_samples, sample):
    """What `edges` (4, N, side, 2, C) add to pixels: top, bottom, left and right."""
    total = tl.zeros((column.shape[0], channel.shape[0]), tl.float32)
    for edge in tl.static_range(4):
        if edge < 2:
            across, along = row + 0 * column, column
        else:
            across, along = column, row + 0 * column
        depth = across - (edge % 2) * (side - 2)
        hit = (depth >= 0) & (depth < 2) & (column < side) & (row < side)
        line = ((edge * n_samples + sample) * side + along) * 2 + depth
        place = line[:, None] * channels + channel[None, :]
        known = hit[:, None] & (channel < channels)[None, :]
        total += tl.load(edges + place, known, 0.0).to(tl.float32)
    return total


@triton.jit
def filter_and_finish(
    out, x, taps, edges, factors, noise, strength, bias, scale, shift, after,
    gain, slope, channels, x_height, x_width, height, width, noise_step, n_kept, out_step,
    PADDING: tl.constexpr, ROWS: tl.constexpr, WIDE: tl.constexpr, DEEP: tl.constexpr,
):  # fmt: skip
    """`fused.filter_and_finish`, a strip of `ROWS` rows a program.

    Each row is filtered along itself once, and the last four of them make a row of the output.
    """
    n_blocks = tl.cdiv(channels, DEEP)
    sample, first_row = tl.program_id(2), tl.program_id(1) * ROWS
    first_column = tl.program_id(0) // n_blocks * WIDE
    column = first_column + tl.arange(0, WIDE)
    channel = tl.program_id(0) % n_blocks * DEEP + tl.arange(0, DEEP)
    x += sample.to(tl.int64) * x_height * x_width * channels
    out += sample.to(tl.int64) * height * width * out_step
    start = column - PADDING
    one = _filtered_row(x, taps, first_row - PADDING, start, channel, channels, x_height, x_width)
    two = _filtered_row(
        x, taps, first_row - PADDING + 1, start, channel, channels, x_height, x_width
    )
    three = _filtered_row(
        x, taps, first_row - PADDING + 2, start, channel, channels, x_height, x_width
    )
    for row in range(first_row, first_row + ROWS):
        four = _filtered_row(
            x, taps, row - PADDING + 3, start, channel, channels, x_height, x_width
        )
        values = tl.load(taps) * one + tl.load(taps + 1) * two
        values += tl.load(taps + 2) * three + tl.load(taps + 3) * four
        one, two, three = two, three, four
        if edges is not None:
            outermost = (first_column < 2) | (first_column + WIDE > width - 2)
            if outermost | (row < 2) | (row >= width - 2):
                values += _edges_at(
                    edges, row, column, channel, channels, width, tl.num_programs(2), sample
                )
        inside = ((column < width) & (row < height))[:, None] & (channel < channels)[None, :]
        pixel = tl.where((column < width) & (row < height), row * width + column, height * width)
        values = _finished(
            values, sample, pixel, channel, inside,
            factors, noise, strength, bias, scale, shift, after,
            gain, slope, channels, height * width, noise_step, n_kept,
        )  # fmt: skip
        place = pixel[:, None] * out_step + channel[None, :]
        tl.store(out + place, values.to(out.dtype.element_ty), inside)


@triton.jit
def double_edges(out, x, channels, side, n_lines, WIDE: tl.constexpr, DEEP: tl.constexpr):
    """`fused.double_edges`; `n_lines` is N * 2 * side."""
    edge, tap = tl.program_id(1) // 3, tl.program_id(1) % 3
    line = tl.program_id(0) * WIDE + tl.arange(0, WIDE)
    channel = tl.program_id(2) * DEEP + tl.arange(0, DEEP)
    sample, place = line // (2 * side), line % (2 * side) + tap - 1
    near = (place + 2) // 2 - 1
    far = tl.where(place % 2 == 0, near - 1, near + 1)
    repeats = edge < 2
    beyond = (place < 0) | (place >= 2 * side)
    last = tl.where(edge % 2 == 0, 0, side - 1)
    total = tl.zeros((WIDE, DEEP), tl.float32)
    for number in tl.static_range(2):
        along = near if number == 0 else far
        known = tl.where(repeats, beyond == 0, (along >= 0) & (along < side))
        along = tl.minimum(tl.maximum(along, 0), side - 1)
        row, column = tl.where(repeats, last, along), tl.where(repeats, along, last)
        pixel = (sample.to(tl.int64) * side + row) * side + column
        mask = (known & (line < n_lines))[:, None] & (channel < channels)[None, :]
        values = tl.load(x + pixel[:, None] * channels + channel[None, :], mask, 0.0)
        total += (0.75 if number == 0 else 0.25) * values.to(tl.float32)
    made = ((edge * n_lines + line) * 3 + tap)[:, None] * channels + channel[None, :]
    mask = (line < n_lines)[:, None] & (channel < channels)[None, :]
    tl.store(out + made, total.to(out.dtype.element_ty), mask)
