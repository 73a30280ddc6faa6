"""Apply a recipe to a whole video: every frame degraded, everything else carried over.

Frames stream through the recipe's steps, so that memory does not grow with the length, and noise
follows from the seed and the frame's number. Codec steps code the whole stream with the real
encoder and decode it again; the file is then written at its own quality (by default one at which
the loss is hard to see), because its container may not take the recipe's codec, and steps may
follow it. Steps see the picture
upright, so that scratches run down and lines run across also in a phone's video; their results go
back into the video's own pixel format, which keeps black-and-white neutral to the last bit.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vidrestore.config import DecodeConfig, EncodeConfig
from vidrestore.degradations.pixels import Image
from vidrestore.degradations.recipe import DrawnRecipe, Recipe
from vidrestore.structs import Frame
from vidrestore.structs import Picture as Samples
from vidrestore.video.picture.chroma import downsampled
from vidrestore.video.picture.colour import yuv_from_rgb
from vidrestore.video.picture.layouts import layout_of
from vidrestore.video.picture.samples import (
    component_samples,
    component_scale,
    copy_picture,
    region_to_rgb,
)
from vidrestore.video.read.probe import probe
from vidrestore.video.read.reader import VideoReader
from vidrestore.video.write.writer import VideoWriter, plan_output

__all__ = ["DegradeReport", "degrade_video", "degraded_frames", "samples_of_rgb"]


@dataclass(frozen=True, slots=True)
class DegradeReport:
    """What a run did."""

    source: str
    output: str
    recipe: str
    seed: int
    frames: int
    """Frames, or pictures, that were degraded."""
    drawn: tuple[dict[str, Any], ...]
    """For the video, or for each picture, the recipe with the values that were drawn, and of
    pictures the ``file``. Each is a recipe itself."""
    seconds: float
    notes: tuple[str, ...] = ()
    """What a person should know: streams dropped, frames lost."""


def degrade_video(
    src: str | Path,
    dst: str | Path,
    recipe: Recipe,
    *,
    name: str = "",
    seed: int = 0,
    decode: DecodeConfig | None = None,
    encode: EncodeConfig | None = None,
    threads: int = 0,
    progress: Callable[[int, int | None], None] | None = None,
) -> DegradeReport:
    """Degrade every frame of a video; times, sound and all other streams stay.

    Args:
        src: the video.
        dst: the file to write; its ending chooses the container.
        recipe: what to do; drawn once for the whole video.
        name: the recipe's name, for the report.
        seed: another seed draws other parameters and other noise.
        decode: which part to read.
        encode: how to write; what its quality loses comes on top.
        threads: for decoding and encoding; 0 takes all.
        progress: told (frames done, frames expected) after each.

    Raises:
        VidRestoreError: for files that cannot be read or written; nothing is left half-written.
    """
    begun = time.perf_counter()
    decode, encode = decode or DecodeConfig(), encode or EncodeConfig()
    drawn = recipe.draw(np.random.default_rng(seed))
    info = probe(src)
    planned = plan_output(info, dst, encode)
    written = 0
    with (
        VideoReader(info, decode, threads=threads) as reader,
        VideoWriter(planned, info, encode, window=reader.window, threads=threads) as writer,
    ):
        turns = round(info.rotation / 90) % 4
        for frame in degraded_frames(reader.frames(), drawn, seed, turns=turns):
            writer.write(frame)
            written += 1
            if progress is not None:
                progress(written, info.n_frames_estimate)
        writer.commit()
        notes = (*writer.notes, *reader.notes)
    seconds = time.perf_counter() - begun
    drawn_record = (drawn.record(),)
    return DegradeReport(str(src), str(dst), name, seed, written, drawn_record, seconds, notes)


def degraded_frames(
    frames: Iterable[Frame], drawn: DrawnRecipe, seed: int, *, turns: int = 0
) -> Iterator[Frame]:
    """The same frames at the same times with degraded pictures.

    Args:
        frames: as a reader gives them.
        drawn: what to do; without steps, frames pass untouched.
        seed: see `DrawnRecipe.frames`.
        turns: quarter turns counter-clockwise that show the coded picture upright.
    """
    if not drawn.steps:
        yield from frames
        return
    waiting: deque[Frame] = deque()

    def upright() -> Iterator[Image]:
        for frame in frames:
            waiting.append(frame)
            yield np.ascontiguousarray(np.rot90(_rgb(frame.picture), turns))

    for image in drawn.frames(upright(), seed):
        frame = waiting.popleft()
        coded = np.ascontiguousarray(np.rot90(image, -turns))
        yield replace(frame, picture=samples_of_rgb(coded, frame.picture))
    assert not waiting, f"{len(waiting)} frames did not come out of the recipe"


def samples_of_rgb(image: Image, like: Samples) -> Samples:
    """A picture's RGB in the pixel format of another, with that one's time and tags.

    Args:
        image: (H, W, 3) float32 RGB in [0, 1].
        like: a picture of the same size; of its alpha, a copy is kept.

    Returns:
        Samples rounded once; equal channels give chroma that is exactly neutral.
    """
    changed = copy_picture(like)
    layout = layout_of(like.format)
    values = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
    if layout.family != "rgb":
        rows = yuv_from_rgb("bt601" if like.matrix == "rgb" else like.matrix)
        matrix = torch.from_numpy(rows[: len(layout.components)]).float()
        values = (matrix @ values.flatten(1)).view(-1, *values.shape[1:])
    unit, most = 1 << layout.shift, (1 << layout.bits) - 1
    for index, part in enumerate(layout.components):
        offset, scale = component_scale(like, layout, index)
        wanted = downsampled(values[index], part.shift_x, part.shift_y) * scale + offset
        stored = (wanted / unit).round_().clamp_(0, most) * unit
        component_samples(changed, layout, index).copy_(stored)
    return changed


def _rgb(picture: Samples) -> Image:
    rgb, _ = region_to_rgb(picture, 0, 0, picture.width, picture.height)
    return np.ascontiguousarray(rgb.permute(1, 2, 0).numpy(), dtype=np.float32)
