"""The weights on this machine: where they lie, how they get there, whether they are the right ones.

`pull` downloads a model's file, `ready` gives the path of one that may be loaded, `verify` reads
it through again.

Files lie under the publisher's name in `folder()`: the platform's cache directory, or the folder
that the environment variable VIDRESTORE_HOME names. A file put there by hand is as good as a
downloaded one. Every file is hashed once and the result noted beside it (`NAME.checked`), with
the size and time of change that it holds for; while these stay as they were, later runs start
without reading the file twice. The embedded models lie inside the package.

A model without a published checksum is taken only with `allow_unverified`, and its checksum is
remembered: the file may not change after that.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs

from vidrestore.errors import DownloadError, WeightsError
from vidrestore.models.weights import download
from vidrestore.models.zoo import ModelSpec

__all__ = [
    "OnDownload",
    "folder",
    "is_installed",
    "model_card",
    "path_of",
    "pull",
    "ready",
    "sha256_of",
    "verify",
]

logger = logging.getLogger(__name__)

OnDownload = Callable[[ModelSpec, int, "int | None"], None]
"""Called before and during a download: the model, the bytes that are here, the total if known."""


def folder() -> Path:
    """The folder that holds downloaded weights; it may not exist yet."""
    home = os.environ.get("VIDRESTORE_HOME")
    base = Path(home).expanduser() if home else platformdirs.user_cache_path("vidrestore", False)
    return base / "weights"


def path_of(spec: ModelSpec) -> Path:
    """Where a model's file is or would be."""
    if spec.embedded:
        return Path(__file__).parents[1] / "embedded" / spec.filename
    return folder() / spec.filename


def model_card() -> Path:
    """What is known of the models that ship in the package."""
    return Path(__file__).parents[1] / "embedded" / "README.md"


def is_installed(spec: ModelSpec) -> bool:
    """Whether a model can be used without a download, judged by the file's size."""
    if not spec.needs_file:
        return True
    path = path_of(spec)
    return path.is_file() and spec.bytes in (None, path.stat().st_size)


def ready(spec: ModelSpec) -> Path:
    """Path of an installed and checked file.

    Raises:
        WeightsError: if the file is missing or is not the right one.
    """
    path = path_of(spec)
    with _as_weights_errors(path):
        if not path.is_file():
            raise WeightsError(_missing_message(spec, path))
        if not spec.embedded:
            _check_once(path, spec)
    return path


def verify(spec: ModelSpec) -> str:
    """Read an installed file through again.

    Returns:
        Its sha256, which is the expected one (for the embedded models, the one that it has).

    Raises:
        WeightsError: if the file is missing or is not the right one.
    """
    path = path_of(spec)
    with _as_weights_errors(path):
        if not path.is_file():
            raise WeightsError(_missing_message(spec, path))
        if spec.embedded:
            return sha256_of(path)
        if _expected(path, spec) is None:
            raise WeightsError(_unverified_message(spec, path))
        return _check(path, spec)


def pull(
    spec: ModelSpec,
    *,
    allow_unverified: bool = False,
    on_download: OnDownload | None = None,
    timeout_s: float = 60.0,
) -> Path:
    """Install a model: download its file unless it is there, and check it.

    A second process that wants the same file waits for the first one.

    Args:
        spec: the model.
        allow_unverified: take a model without a published checksum, and remember the one it has.
        on_download: told of progress; see `OnDownload`.
        timeout_s: longest silence of a server, in seconds.

    Returns:
        Path of the checked file.

    Raises:
        DownloadError: if no server gives the file; the message says where to put it by hand.
        WeightsError: if a file is there but is not the right one, or the folder cannot be written.
    """
    path = path_of(spec)
    if spec.embedded:
        return ready(spec)
    with _as_weights_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with download.locked(path.with_name(path.name + ".lock")):
            if not allow_unverified and _expected(path, spec) is None:
                raise WeightsError(_unverified_message(spec, path))
            if not path.is_file():
                _download(spec, path, on_download, timeout_s)
            _check_once(path, spec, allow_unverified=allow_unverified)
    return path


def sha256_of(path: Path) -> str:
    """Checksum of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(
    spec: ModelSpec, path: Path, on_download: OnDownload | None, timeout_s: float
) -> None:
    def progress(received: int, total: int | None) -> None:
        if on_download is not None:
            on_download(spec, received, total)

    told = logging.INFO if on_download else logging.WARNING  # Somebody must show the terms.
    logger.log(told, "downloading %s; licence: %s", spec.name, spec.licence)
    progress(0, spec.bytes)
    expected = _expected(path, spec)

    def wrong(part: Path) -> str | None:
        return _difference(part, spec.bytes, expected)

    try:
        download.fetch(
            spec.urls,
            path,
            wrong=wrong,
            size=spec.bytes,
            resumable=expected is not None,
            progress=progress,
            timeout_s=timeout_s,
        )
    except DownloadError as error:
        raise DownloadError(
            f"weights {path.name}: no download ({error}); "
            f"get it from {spec.url} and put it at {path}"
        ) from error
    if expected is not None:
        _note_checked(path, expected)


@dataclass(frozen=True, slots=True)
class _Checked:
    """What was found when a file was last hashed."""

    sha256: str
    bytes: int
    mtime_ns: int


def _check_once(path: Path, spec: ModelSpec, *, allow_unverified: bool = False) -> None:
    """Check a file unless it is as it was when it last passed."""
    note, stat = _read_note(path), path.stat()
    expected = _expected(path, spec)
    if expected is None and not allow_unverified:
        raise WeightsError(_unverified_message(spec, path))
    if note != _Checked(expected or "", stat.st_size, stat.st_mtime_ns):
        _check(path, spec)


def _check(path: Path, spec: ModelSpec) -> str:
    """Read a file through, compare, and note the result."""
    expected = _expected(path, spec)
    difference = _difference(path, spec.bytes, expected)
    if difference is None and download.is_web_page(path):
        difference = "a web page, which is no weights file"
    if difference is not None:
        remedy = "delete the file to download it again"
        raise WeightsError(f"weights {path.name}: {difference}; {remedy}: {path}")
    found = expected or sha256_of(path)
    _note_checked(path, found)
    return found


def _difference(path: Path, size: int | None, sha256: str | None) -> str | None:
    """How a file differs from what is known of it (None: not known); None if it does not."""
    found_size = path.stat().st_size
    if size is not None and found_size != size:
        return f"{found_size} bytes, expected {size}"
    if sha256 is None or (found := sha256_of(path)) == sha256:
        return None
    return f"sha256 starts {found[:8]}…, expected {sha256[:8]}…"


def _expected(path: Path, spec: ModelSpec) -> str | None:
    """The published checksum, or the one remembered from first use."""
    if spec.sha256 is not None:
        return spec.sha256
    note = _read_note(path)
    return note.sha256 if note else None


def _note_path(path: Path) -> Path:
    return path.with_name(path.name + ".checked")


def _read_note(path: Path) -> _Checked | None:
    try:
        return _Checked(**json.loads(_note_path(path).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _note_checked(path: Path, sha256: str) -> None:
    """Remember a check; a folder that cannot be written only costs the next run a second look."""
    stat = path.stat()
    note = _Checked(sha256, stat.st_size, stat.st_mtime_ns)
    part = _note_path(path).with_name(f"{path.name}.checked.{os.getpid()}")
    try:
        part.write_text(json.dumps(asdict(note)), "utf-8")
        os.replace(part, _note_path(path))
    except OSError as error:
        logger.info("cannot note that %s was checked: %s", path.name, error)


def _missing_message(spec: ModelSpec, path: Path) -> str:
    if spec.embedded:
        return f"weights {path.name}: missing from the package at {path}; install vidrestore again"
    return (
        f"weights {path.name}: not installed; run `vidrestore models pull {spec.name}`, "
        f"or get it from {spec.url} and put it at {path}"
    )


def _unverified_message(spec: ModelSpec, path: Path) -> str:
    return (
        f"weights {path.name}: no checksum of it is known; "
        f"`vidrestore models pull {spec.name} --allow-unverified` takes it as it is "
        "and remembers the one it has"
    )


@contextmanager
def _as_weights_errors(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into one line that names the file."""
    try:
        yield
    except WeightsError:
        raise
    except OSError as error:
        raise WeightsError(f"weights {path.name}: {error.strerror or error} at {path}") from error
