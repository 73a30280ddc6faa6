"""Which videos a batch is about: files, folders, patterns, and manifests (`manifest`).

A folder with DPX or TIFF files right inside it is one video, a scanned film; other pictures are
named by a pattern, such as `reel/%06d.png`.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from vidrestore.batch.manifest import MANIFEST_ENDINGS, Listed, read_manifest
from vidrestore.batch.state import STATE_FOLDER
from vidrestore.errors import VideoOpenError
from vidrestore.runtime.inputs import require_file
from vidrestore.video.sequence.files import is_sequence
from vidrestore.video.write.containers import CONTAINERS

__all__ = ["VIDEO_ENDINGS", "list_inputs"]

VIDEO_ENDINGS = frozenset(CONTAINERS) | {
    ".asf", ".divx", ".dv", ".f4v", ".gxf", ".m1v", ".m2v", ".mjpeg", ".mjpg", ".mpe", ".mpeg",
    ".mpg", ".mxf", ".ogm", ".ogv", ".rm", ".rmvb", ".tod", ".vob", ".wmv", ".y4m", ".h264",
    ".264", ".hevc", ".265", ".avc", ".amv", ".mod", ".3g2", ".dvr-ms", ".wtv", ".ps", ".trp",
}  # fmt: skip
"""Of files in folders that are taken for videos."""

_SCAN_ENDINGS = (".dpx", ".tif", ".tiff")
"""Of pictures that make the folder right around them a video."""

_MOST_NAMED = 5


def list_inputs(
    arguments: Sequence[str], output: Path, short_names: Mapping[str, str]
) -> list[Listed]:
    """All videos that are meant, each once, in the order given.

    Args:
        arguments: paths of videos, folders, manifests (`.csv`, `.jsonl`), sequences of pictures,
            or patterns as of a shell, in which `**` is any folders.
        output: folder of the outputs; what lies in it is no input.
        short_names: of options, {"strength": "blend.strength"}, for manifests.

    Raises:
        VideoOpenError: something is missing or no file; the first ones are named.
        UsageError: a manifest is wrong.
    """
    found: dict[tuple[str, str], Listed] = {}
    missing: list[str] = []
    for argument in arguments:
        listed = list(_listed(argument, output, short_names))
        missing += [] if listed or os.path.isdir(argument) else [argument]
        for one in listed:
            found.setdefault((os.path.abspath(one.source), str(one.output or "")), one)
    missing += [str(one.source) for one in found.values() if not _is_there(one.source)]
    if missing:
        named = ", ".join(missing[:_MOST_NAMED])
        more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
        raise VideoOpenError(f"no such file: {named}{more}; check the paths")
    for one in found.values():
        if not is_sequence(one.source):
            require_file(one.source, str(one.source), VideoOpenError)
    return list(found.values())


def _listed(argument: str, output: Path, short_names: Mapping[str, str]) -> Iterator[Listed]:
    path = Path(argument)
    if path.is_dir():
        yield from _of_folder(path, output)
    elif path.suffix.lower() in MANIFEST_ENDINGS and path.is_file():
        yield from read_manifest(path, short_names)
    elif os.path.lexists(path):
        yield Listed(path, Path(path.name))
    elif is_sequence(path):
        yield Listed(path, Path(path.absolute().parent.name or "pictures"))
    elif glob.has_magic(argument):
        for name in sorted(glob.glob(argument, recursive=True)):
            is_video = not os.path.isdir(name) or _is_scan(os.listdir(name))
            if is_video and not _is_inside(Path(name), output):
                yield Listed(Path(name), Path(Path(name).name))


def _of_folder(folder: Path, output: Path) -> Iterator[Listed]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if name[0] != "." and name != STATE_FOLDER and not _is_same(Path(place, name), output)
        )
        if _is_scan(files):
            yield Listed(Path(place), _relative(Path(place), folder))
        for name in sorted(files):
            path = Path(place, name)
            if name[0] != "." and path.suffix.lower() in VIDEO_ENDINGS:
                yield Listed(path, path.relative_to(folder))


def _is_scan(files: Sequence[str]) -> bool:
    """Whether the files of a folder make it a video."""
    return any(name[0] != "." and name.lower().endswith(_SCAN_ENDINGS) for name in files)


def _relative(place: Path, folder: Path) -> Path:
    """Where a folder lies in another one; its name if it is that one itself."""
    return Path(place.absolute().name) if place == folder else place.relative_to(folder)


def _is_there(source: Path) -> bool:
    return os.path.exists(source.parent if is_sequence(source) else source)


def _is_same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _is_inside(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
