"""Look at everything a command is given before anything heavy is imported or loaded for it.

torch takes seconds to import: a name, file or device that is wrong is told before.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from vidrestore.config import EncodeConfig, RestoreConfig
from vidrestore.errors import VideoOpenError, VideoWriteError
from vidrestore.models.names import check_name, check_restorer, require_installed
from vidrestore.models.runners.backends import require_backend
from vidrestore.runtime.devices import check_device
from vidrestore.runtime.inputs import require_file

__all__ = [
    "check_config_inputs",
    "check_detectors",
    "check_encoding",
    "check_folder",
    "check_protocol",
    "check_restorers",
    "check_sink",
    "check_source",
    "check_video",
]


def check_video(path: Path) -> None:
    """Refuse what cannot be opened as a video.

    Raises:
        VideoOpenError: see `vidrestore.video.read.opening.open_container`.
    """
    from vidrestore.video.read.opening import check_input

    check_input(path)


def check_source(path: Path, output: Path, codec: str) -> None:
    """Refuse what is neither a picture file nor a video, and a video that cannot be written so.

    Raises:
        UsageError: there is no such codec.
        VideoOpenError: it is no file, or no video.
        VideoWriteError: the output's ending names no container, or it does not take the codec.
    """
    from vidrestore.datasets.images import PICTURE_ENDINGS

    if path.suffix.lower() in PICTURE_ENDINGS:
        require_file(path, str(path), VideoOpenError)
    else:
        check_video(path)
        check_encoding(output, codec)


def check_config_inputs(config: RestoreConfig) -> None:
    """Refuse tracks, models and devices that are not there.

    Raises:
        NotAvailableError: a backend's packages are not installed.
        UsageError: the tracks are no file, this machine has no such device, a backend does not
            compute on it, or what the model's file does not say of it is not given.
        UnknownModelError: no model has the name.
        WeightsError: the weights are no weights file, or a face parser is not installed.
    """
    if config.track.file is not None:
        require_file(config.track.file, f"tracks {config.track.file}")
    check_restorer(config.restore)
    check_name(config.detect.detector, "detector")
    if config.blend.mask == "parsing":
        require_installed(config.blend.parser, "parsing")
    check_device(config.run.device)
    kind = config.run.device.partition(":")[0]
    require_backend(config.restore.backend, kind)
    require_backend(config.detect.backend, kind)
    check_sink(config.encode)
    if config.run.device not in ("auto", "cpu"):
        from vidrestore.models.load import resolve_device

        resolve_device(config.run.device)


def check_sink(config: EncodeConfig) -> None:
    """Refuse arguments for FFmpeg that it does not get, and a missing FFmpeg.

    Raises:
        UsageError: options do not go together.
        NotAvailableError: the program or the package ffmpeg-python is not there.
    """
    from vidrestore.video.ffmpeg.arguments import check_arguments
    from vidrestore.video.ffmpeg.program import require_ffmpeg

    check_arguments(config)
    if config.sink == "ffmpeg":
        require_ffmpeg()


def check_detectors(names: Iterable[str]) -> None:
    """Refuse names that no detector has, and weights that cannot be used."""
    for name in names:
        check_name(name, "detector")


def check_protocol(name: str, metrics: Iterable[str] | None) -> None:
    """Refuse a protocol, and metrics, that there are not.

    Raises:
        UsageError: there is none of a name, or the protocol's recipe is not well formed.
    """
    from vidrestore.evaluation.measures import PICTURE_MEASURES, VIDEO_MEASURES, select_measures
    from vidrestore.evaluation.protocols import find_protocol

    select_measures(metrics, {**PICTURE_MEASURES, **VIDEO_MEASURES})
    find_protocol(name)


def check_restorers(names: Iterable[str]) -> None:
    """Refuse names that no restorer has, and weights that cannot be used."""
    for name in names:
        check_name(name, "restorer")


def check_encoding(output: Path, codec: str = "auto") -> None:
    """Refuse an ending that names no container, and a codec that the container cannot hold.

    Raises:
        UsageError: there is no such codec.
        VideoWriteError: the ending or the codec does not do.
    """
    from vidrestore.video.write.codecs import check_codec
    from vidrestore.video.write.containers import container_of

    container = container_of(output)
    if codec != "auto":
        check_codec(codec, container)


def check_folder(output: Path) -> None:
    """Refuse an output whose folder does not exist.

    Raises:
        VideoWriteError: it does not.
    """
    if not output.absolute().parent.is_dir():
        raise VideoWriteError(
            f"{output}: the folder {output.parent} does not exist; create it first"
        )
