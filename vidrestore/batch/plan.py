"""Plan a batch: every video is looked at, and what cannot work is told before work begins."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vidrestore.batch.inputs import list_inputs
from vidrestore.batch.manifest import Listed
from vidrestore.batch.names import check_names, output_name
from vidrestore.batch.state import BatchFolder, Settings, Video, make_id
from vidrestore.config import RestoreConfig, resolve_config
from vidrestore.errors import UsageError, VideoWriteError, VidRestoreError
from vidrestore.job import Job, make_job
from vidrestore.runtime.output_file import is_same_file
from vidrestore.runtime.words import sized
from vidrestore.video.sequence.files import ENDINGS as PICTURE_ENDINGS
from vidrestore.video.sequence.files import is_sequence
from vidrestore.video.write.containers import container_of
from vidrestore.video.write.source_kind import LOSSLESS_ENCODERS, SAME_FAMILY

__all__ = ["Planned", "check_videos", "estimate_bytes", "plan_batch", "plan_new"]

_MOST_NAMED = 5
_SHARE_LOSSLESS, _SHARE_EDITED = 0.65, 0.35
"""Of decoded pictures, what lossless encoders and those for editing write at most, as a rule."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What planning found."""

    new: tuple[Video, ...]
    known: int
    """Videos that the batch has already."""
    bytes_needed: int
    """About what the new outputs take."""

    @property
    def refused(self) -> tuple[Video, ...]:
        """New videos that cannot be restored as they are; their warnings say why."""
        return tuple(video for video in self.new if not video.planned)


def plan_batch(
    folder: BatchFolder,
    settings: Settings,
    short_names: Mapping[str, str],
    step: Callable[[float, int], None] = lambda done, total: None,
) -> Planned:
    """Make a batch, or add what is new to it, and look at every new video.

    Args:
        folder: of the batch.
        settings: what is asked for.
        short_names: of options in manifests.
        step: called with (videos looked at, all new ones); the share that was read of a video
            without an index, which takes long, counts.

    Raises:
        UsageError: two outputs have one name, or the batch has other options.
        VideoOpenError: something is missing.
        VideoWriteError: an output exists or is an input, or the disk is too full.
    """
    if settings.ending is not None:
        if settings.ending.lower() in PICTURE_ENDINGS:
            raise UsageError(
                f"--ending {settings.ending}: would be pictures, and a batch writes videos; take "
                ".mkv, or restore each by itself: vidrestore IN OUT_FOLDER"
            )
        container_of(f"a{settings.ending}")
    listed = list_inputs(settings.inputs, folder.output, short_names)
    if not listed and not folder.exists:
        raise UsageError(f"no videos in {', '.join(settings.inputs)}; check the paths")
    if folder.exists:
        settings = _joined(folder, settings)
    videos = check_videos(folder, settings, listed)
    folder.create(settings)
    return plan_new(folder, settings, videos, step)


def plan_new(
    folder: BatchFolder,
    settings: Settings,
    videos: Sequence[Video],
    step: Callable[[float, int], None] = lambda done, total: None,
) -> Planned:
    """Look at videos and add those that the batch does not have; see `plan_batch`."""
    known = set(folder.ids())
    new, needed = [], 0
    wanted = [video for video in videos if video.id not in known]
    for number, video in enumerate(wanted):
        step(number, len(wanted))

        def watch(share: float, before: int = number) -> None:
            step(round(before + share, 2), len(wanted))

        looked, size = _look(folder, settings, video, watch)
        new.append(looked)
        needed += size
    step(len(wanted), len(wanted))
    _check_space(folder, needed)
    folder.add(new)
    return Planned(tuple(new), len(videos) - len(new), needed)


def _joined(folder: BatchFolder, settings: Settings) -> Settings:
    """The settings of a batch that is planned again.

    Raises:
        UsageError: its options differ, and videos have been worked on with the old ones.
    """
    before = folder.settings()
    changed = _differences(before, settings)
    if changed and any(video.attempts for video in folder.videos()):
        raise UsageError(
            f"{folder.output} holds a batch with other options ({', '.join(changed[:_MOST_NAMED])})"
            "; give the same ones, or another output folder"
        )
    if changed:
        folder.remove_videos()
    inputs = dict.fromkeys((*before.inputs, *settings.inputs))
    return replace(settings, inputs=tuple(inputs))


def _differences(before: Settings, after: Settings) -> list[str]:
    differing = [
        name for name in ("ending", "max_attempts") if getattr(before, name) != getattr(after, name)
    ]
    for stage, options in after.config.items():
        for name, value in options.items():
            if before.config.get(stage, {}).get(name) != value:
                differing.append(f"{stage}.{name}")
    return differing


def check_videos(folder: BatchFolder, settings: Settings, listed: Iterable[Listed]) -> list[Video]:
    """The videos that are meant, with their outputs.

    Raises:
        UsageError: names collide.
        VideoWriteError: an output exists or is an input.
    """
    config = RestoreConfig.model_validate(settings.config)
    videos = []
    for one in listed:
        encode = resolve_config(config, one.options).encode
        is_folder = is_sequence(one.source)
        output = one.output or output_name(
            one.relative, encode, settings.ending, is_folder=is_folder
        )
        _refuse_pictures(one.source, output)
        container_of(output)
        size = one.source.stat().st_size if one.source.is_file() else 0
        videos.append(
            Video(
                make_id(str(output)),
                os.path.abspath(one.source),
                str(output),
                options=one.options,
                bytes=size,
            )
        )
    check_names((Path(video.source), Path(video.output)) for video in videos)
    _check_outputs(folder, config, videos)
    return videos


def _refuse_pictures(source: Path, output: Path) -> None:
    """Refuse pictures as the output.

    Raises:
        UsageError: the batch's checksums, leases and names are those of single files.
    """
    if not output.suffix or output.suffix.lower() in PICTURE_ENDINGS:
        raise UsageError(
            f"{source}: its output {output} would be pictures, and a batch writes videos; name "
            f"one, such as {output.with_suffix('.mkv').name}, or restore it by itself: "
            f"vidrestore {source} {output}"
        )


def _check_outputs(folder: BatchFolder, config: RestoreConfig, videos: Sequence[Video]) -> None:
    known = set(folder.ids()) if folder.exists else set()
    inputs = {os.path.realpath(video.source) for video in videos}
    existing = []
    for video in videos:
        final = folder.output / video.output
        if os.path.realpath(final) in inputs or is_same_file(final, Path(video.source)):
            raise VideoWriteError(
                f"{final} is an input itself; choose another output folder, or another ending"
            )
        overwrite = resolve_config(config, video.options).encode.overwrite
        if video.id not in known and not overwrite and os.path.lexists(final):
            existing.append(str(final))
    if existing:
        more = f" and {len(existing) - _MOST_NAMED} more" if len(existing) > _MOST_NAMED else ""
        raise VideoWriteError(
            f"{', '.join(existing[:_MOST_NAMED])}{more} exist already; choose another output "
            "folder, or add --overwrite"
        )


def _look(
    folder: BatchFolder, settings: Settings, video: Video, watch: Callable[[float], None]
) -> tuple[Video, int]:
    """The video as it will be written, and about its size; one that is refused says why."""
    growing = folder.work_path(video)
    growing.parent.mkdir(parents=True, exist_ok=True)
    try:
        config = resolve_config(folder.config_of(video, settings), {"encode.overwrite": True})
        job = make_job(video.source, growing, config, watch=watch)
    except VidRestoreError as error:
        told = str(error).replace(str(growing), video.output)
        return replace(video, warnings=(told,)), 0
    finally:
        shutil.rmtree(growing.parent, ignore_errors=True)
    assert job.output is not None
    looked = replace(
        video,
        frames=job.expected_frames,
        planned=f"{job.output.codec}, {job.output.pix_fmt}",
        warnings=(*job.warnings, *job.output.notes),
    )
    return looked, estimate_bytes(job, video.bytes)


def estimate_bytes(job: Job, source_bytes: int) -> int:
    """About how large an output becomes, rather too much than too little.

    Args:
        job: of the video.
        source_bytes: size of its file.
    """
    assert job.output is not None
    decoded = job.info.picture_bytes * (job.expected_frames or 0)
    if job.output.codec in LOSSLESS_ENCODERS:
        return round(_SHARE_LOSSLESS * decoded) + source_bytes // 10
    if job.output.codec in SAME_FAMILY.values():
        return round(_SHARE_EDITED * decoded) + source_bytes // 10
    return max(round(1.5 * source_bytes), round(0.03 * decoded))


def _check_space(folder: BatchFolder, needed: int) -> None:
    free = shutil.disk_usage(folder.output).free
    if needed > free:
        raise VideoWriteError(
            f"{folder.output}: about {sized(needed)} are needed and {sized(free)} are "
            "free; free some space, or choose another folder"
        )
