"""The state of a batch on disk: one JSON a video, written whole, in a folder of the output.

    OUT/vidrestore-batch/
      batch.json          what was asked for
      videos/ID.json      one video: what becomes of it, and what became of it
      leases/ID.N         who works on it (`leases`)
      workers/ID.json     how far each worker is
      work/ID/            what is being written, and what a video that was stopped goes on from
      tracks/ previews/   of `batch plan --preview`
      records/ pages/     what an archive keeps, by the outputs' names

A video's file is changed only by who holds its lease. Files are ASCII JSON, in which names that are
no UTF-8 survive.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from vidrestore.batch.leases import Lease, LeaseFolder
from vidrestore.config import RestoreConfig, resolve_config
from vidrestore.errors import UsageError, VideoOpenError, VideoWriteError
from vidrestore.runtime.disk import sync_folder

__all__ = [
    "STATE_FOLDER",
    "Attempt",
    "BatchFolder",
    "Settings",
    "Status",
    "Video",
    "make_id",
    "read_json",
    "write_json",
]

STATE_FOLDER = "vidrestore-batch"
"""Name of the folder inside the output folder."""

_FORMAT, _VERSION = "vidrestore batch", 1
_PARTS = ("videos", "leases", "workers", "work", "tracks", "previews", "records", "pages")

Status = Literal["waiting", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a video."""

    begun: str
    """UTC."""
    host: str
    process: int
    device: str
    seconds: float | None = None
    """None while it goes on, and where its process died."""
    problem: str | None = None
    """Why it failed; None if it did not, or died without a word."""
    segments: int = 0
    """Of the video, stored when it began."""
    counts: bool = True
    """Whether it is one of the attempts that a video has: not if it died, and had stored more
    segments, from which the next one goes on."""


@dataclass(frozen=True, slots=True)
class Video:
    """One video of a batch."""

    id: str
    source: str
    """Absolute path."""
    output: str
    """Relative to the output folder."""
    options: dict[str, Any] = field(default_factory=dict)
    """Its own, {'stage.field': value}; they win over the batch's."""
    bytes: int = 0
    """Size of the source."""
    frames: int | None = None
    """As the source promises; None where it does not, or was not looked at."""
    planned: str = ""
    """Codec and pixel format of the output, for people."""
    warnings: tuple[str, ...] = ()
    """Found when it was planned."""
    status: Status = "waiting"
    attempts: tuple[Attempt, ...] = ()
    frames_written: int = 0

    @property
    def attempts_made(self) -> int:
        """Attempts that count."""
        return sum(one.counts for one in self.attempts)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why attempts failed."""
        return tuple(
            one.problem or "its process ended without a word (killed, crashed, or out of memory)"
            for one in self.attempts
            if one.problem or one.seconds is None
        )


@dataclass(frozen=True, slots=True)
class Settings:
    """What a batch was asked to do."""

    inputs: tuple[str, ...]
    """Absolute paths, or patterns."""
    config: dict[str, Any]
    """The options of all videos, resolved."""
    ending: str | None = None
    """Of all outputs; None for that of each source where it does."""
    max_attempts: int = 2
    program: str = ""
    """Version of the program that made it."""


def make_id(output: str) -> str:
    """A name for files about a video, from its output's: readable, and different for each."""
    digest = hashlib.sha256(os.fsencode(output)).hexdigest()[:12]
    readable = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(output).stem)[:60]
    return f"{readable}-{digest}"


class BatchFolder:
    """The state of the batch in an output folder.

    Args:
        output: the folder that the videos are written into.
        leases: those of the batch, else of the folder's own; others are for tests.
    """

    def __init__(self, output: str | Path, *, leases: LeaseFolder | None = None) -> None:
        self.output = Path(output).absolute()
        self.root = self.output / STATE_FOLDER
        self.leases = leases or LeaseFolder(self.root / "leases")

    def create(self, settings: Settings) -> None:
        """Make the folders, and store what is asked for.

        Raises:
            VideoWriteError: they cannot be written.
        """
        try:
            for part in _PARTS:
                (self.root / part).mkdir(parents=True, exist_ok=True)
            write_json(self.root / "batch.json", _header() | asdict(settings))
        except OSError as error:
            raise VideoWriteError(
                f"{self.root}: cannot be written ({error.strerror}); choose another folder"
            ) from error

    @property
    def exists(self) -> bool:
        """Whether the folder holds a batch."""
        return (self.root / "batch.json").is_file()

    def settings(self) -> Settings:
        """What was asked for.

        Raises:
            UsageError: there is no batch, or one of another version.
        """
        if not self.exists:
            raise UsageError(
                f"{self.output} holds no batch; begin one: vidrestore batch plan IN… {self.output}"
            )
        record = _checked(read_json(self.root / "batch.json"), self.root / "batch.json")
        return Settings(**_known(Settings, record) | {"inputs": tuple(record["inputs"])})

    def ids(self) -> list[str]:
        """Of all videos, sorted."""
        try:
            names = os.listdir(self.root / "videos")
        except OSError as error:
            raise VideoOpenError(
                f"{self.root / 'videos'}: cannot be read ({error.strerror}); see that its disk is "
                "there, and run it again"
            ) from error
        return sorted(name[:-5] for name in names if name.endswith(".json") and name[0] != ".")

    def read(self, key: str) -> Video:
        """One video.

        Raises:
            VideoOpenError: its file is missing or damaged.
        """
        path = self.root / "videos" / f"{key}.json"
        record = _checked(read_json(path), path)
        attempts = tuple(Attempt(**_known(Attempt, one)) for one in record["attempts"])
        warnings = tuple(record["warnings"])
        return Video(**_known(Video, record) | {"attempts": attempts, "warnings": warnings})

    def videos(self) -> Iterator[Video]:
        """All of them, in the order of their ids."""
        return (self.read(key) for key in self.ids())

    def add(self, videos: Iterable[Video]) -> None:
        """Store videos that are new."""
        for video in videos:
            write_json(self.root / "videos" / f"{video.id}.json", _header() | asdict(video))
        sync_folder(self.root / "videos")

    def write(self, video: Video, lease: Lease) -> None:
        """Store what became of a video.

        Raises:
            LeaseLostError: somebody else has taken it over.
        """
        path = self.root / "videos" / f"{video.id}.json"
        write_json(
            path,
            _header() | asdict(video),
            temporary=self._temporary(video.id, lease.holder.number),
            before_rename=lease.require,
        )

    def remove_videos(self) -> None:
        """Forget all videos, of which none has been worked on."""
        for key in self.ids():
            (self.root / "videos" / f"{key}.json").unlink(missing_ok=True)

    def remove_left_behind(self, key: str, lease: Lease) -> None:
        """Remove what earlier holders of a video were writing and telling when they died."""
        if lease.holder.number == 1:
            return
        for number in range(1, lease.holder.number):
            self._temporary(key, number).unlink(missing_ok=True)
        for path, told in self.told_by_workers():
            if told.get("video") == key:  # who helps with it tells again within a second
                path.unlink(missing_ok=True)

    def told_by_workers(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """What workers do: the files that they write, and {"video": its id, "does": what, "share":
        of this, "frames": restored so far, "host", "process", …}.
        """
        for path in sorted((self.root / "workers").glob("*.json")):
            with contextlib.suppress(VideoOpenError):  # it has ended meanwhile
                told = read_json(path)
                if isinstance(told, dict):
                    yield path, told

    def _temporary(self, key: str, number: int) -> Path:
        return self.root / "videos" / f".{key}.{number}.tmp"

    def retry(self, video: Video, lease: Lease) -> None:
        """Let a failed video be tried anew, from no attempts."""
        self.write(replace(video, status="waiting", attempts=()), lease)

    def config_of(self, video: Video, settings: Settings) -> RestoreConfig:
        """The options of one video: the batch's, its own, and tracks that were planned for it."""
        config = resolve_config(RestoreConfig.model_validate(settings.config), video.options)
        tracks = self.file_of("tracks", video, ".json")
        if config.track.file is None and tracks.is_file():
            config = resolve_config(config, {"track.file": tracks})
        return config

    def work_path(self, video: Video) -> Path:
        """Where the output grows: a folder of its own, and the name that it will have."""
        return self.root / "work" / video.id / Path(video.output).name

    def remove_work(self, video: Video) -> None:
        """Remove what is stored for a video until it is done."""
        shutil.rmtree(self.work_path(video).parent, ignore_errors=True)

    def file_of(self, part: str, video: Video, ending: str) -> Path:
        """Where a part of the state keeps something about a video, by its output's name."""
        return self.root / part / f"{video.output}{ending}"


def _header() -> dict[str, Any]:
    return {"format": _FORMAT, "version": _VERSION}


def _checked(record: Any, path: Path) -> dict[str, Any]:
    if not isinstance(record, dict) or record.get("format") != _FORMAT:
        raise VideoOpenError(f"{path}: is no file of a batch; remove it")
    if record.get("version") != _VERSION:
        raise VideoOpenError(
            f"{path}: is of version {record.get('version')}, this program reads {_VERSION}; use "
            "the program that wrote it, or another output folder"
        )
    return record


def _known(kind: Any, record: dict[str, Any]) -> dict[str, Any]:
    return {one.name: record[one.name] for one in fields(kind) if one.name in record}


def read_json(path: Path) -> Any:
    """Read a JSON file of the state.

    Raises:
        VideoOpenError: it is missing or no JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no JSON"
        raise VideoOpenError(f"{path}: cannot be read ({reason})") from error


def write_json(
    path: Path,
    record: dict[str, Any],
    *,
    temporary: Path | None = None,
    before_rename: Callable[[], None] | None = None,
) -> None:
    """Write a record whole: a temporary file, brought to the disk, then renamed.

    Args:
        path: its final name; a file there is replaced.
        record: for JSON.
        temporary: what nobody else writes meanwhile; None for a random name beside `path`.
        before_rename: called when the data is on the disk; what it raises keeps the old file.
    """
    temporary = temporary or path.with_name(f".{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(json.dumps(record, indent=1, default=str).encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        if before_rename is not None:
            before_rename()
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
