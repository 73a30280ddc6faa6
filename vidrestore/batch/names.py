"""What outputs are called: as their sources, with the ending of a container that takes the codec.

The tree of a folder is mirrored; only endings change. Two sources that would get one name, also on
file systems that ignore case, are told before work.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from vidrestore.batch.state import STATE_FOLDER
from vidrestore.config import EncodeConfig
from vidrestore.errors import UsageError, VideoWriteError
from vidrestore.video.write.codecs import check_codec
from vidrestore.video.write.containers import CONTAINERS

__all__ = ["check_names", "choose_ending", "output_name"]

_OF_PROFILES = {
    "access": ".mp4",
    "proxy": ".mp4",
    "ffv1": ".mkv",
    "prores_hq": ".mov",
    "prores_4444xq": ".mov",
    "dnxhr_hqx": ".mov",
}
_MOST_NAMED = 5


def choose_ending(source_ending: str, encode: EncodeConfig, wanted: str | None = None) -> str:
    """The ending of an output.

    Args:
        source_ending: of the source, such as ".MOV"; kept where its container can be written and
            takes the codec.
        encode: codec and profile.
        wanted: what was asked for; wins.
    """
    if wanted is not None:
        return wanted
    if encode.profile is not None and encode.codec == "auto":
        return _OF_PROFILES[encode.profile]
    container = CONTAINERS.get(source_ending.lower())
    if container is None:
        return ".mkv"
    if encode.codec != "auto":
        try:
            check_codec(encode.codec, container)
        except VideoWriteError:
            return ".mkv"
    return source_ending


def output_name(
    relative: Path, encode: EncodeConfig, wanted: str | None = None, *, is_folder: bool = False
) -> Path:
    """The output's path in the output folder.

    Args:
        relative: the source's path in the folder that was given, or its name.
        encode: see `choose_ending`.
        wanted: see `choose_ending`.
        is_folder: whether the source is a folder of pictures, whose name has no ending.
    """
    if is_folder:
        return relative.with_name(relative.name + choose_ending("", encode, wanted))
    stem = relative.name[: -len(relative.suffix)] if relative.suffix else relative.name
    return relative.with_name(stem + choose_ending(relative.suffix, encode, wanted))


def check_names(pairs: Iterable[tuple[Path, Path]]) -> None:
    """Refuse outputs that are one file, or lie outside the output folder.

    Args:
        pairs: (source, output relative to the output folder).

    Raises:
        UsageError: names the sources.
    """
    by_name: dict[str, list[tuple[Path, Path]]] = defaultdict(list)
    for source, output in pairs:
        if output.is_absolute() or ".." in output.parts or not output.name:
            raise UsageError(f"{source}: its output {output} must lie inside the output folder")
        if output.parts[0].casefold() == STATE_FOLDER:
            raise UsageError(f"{source}: its output {output} would lie in the batch's own folder")
        by_name[unicodedata.normalize("NFC", str(output)).casefold()].append((source, output))
    wrong = [found for found in by_name.values() if len({source for source, _ in found}) > 1]
    if wrong:
        named = "; ".join(
            f"{' and '.join(str(source) for source, _ in found[:_MOST_NAMED])} would both become "
            f"{found[0][1]}"
            for found in wrong[:_MOST_NAMED]
        )
        more = f", and {len(wrong) - _MOST_NAMED} more" if len(wrong) > _MOST_NAMED else ""
        raise UsageError(f"{named}{more}; give them other names in a manifest, or batch them apart")
