"""Every file that the program writes: checked before work, written whole, then renamed.

    check_outputs([Path("out.mp4"), Path("report.json")], inputs=[Path("in.mp4")])
    with OutputFile(Path("out.mp4"), inputs=[Path("in.mp4")]) as output:
        write_somehow(output.temporary)
        output.publish()

A file grows under a short random name beside its final one. The name is created exclusively, so
nothing that exists is written to and no link is followed. `publish` brings the data to the disk and
renames; before it, or when anything fails, nothing has the final name. A lock (`output_lock`) keeps
a second run off, and lists the temporary so that what a killed run leaves is removed by the next.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from vidrestore.errors import UsageError, VideoWriteError
from vidrestore.runtime.disk import rename_new, sync_file, sync_folder
from vidrestore.runtime.output_lock import OutputLock, release_locks

__all__ = [
    "OutputFile",
    "abandon_outputs",
    "after_writing",
    "check_outputs",
    "is_same_file",
    "publish",
    "write_whole",
]


def check_outputs(
    outputs: Sequence[Path], *, inputs: Iterable[Path] = (), overwrite: bool = False
) -> None:
    """Refuse, before work, outputs that cannot be written or would destroy something.

    Args:
        outputs: all files that a command will write.
        inputs: all files that it reads; files are told apart by device and inode, so links to an
            input are refused as well.
        overwrite: whether files that exist are replaced. Inputs never are.

    Raises:
        UsageError: two outputs are the same file.
        VideoWriteError: an output is an input, exists, or its folder is missing or not writable.
    """
    inputs = list(inputs)
    for number, output in enumerate(outputs):
        _check_place(output)
        _check_not_input(output, inputs)
        for other in outputs[:number]:
            if is_same_file(output, other):
                raise UsageError(f"{output}: two outputs have this name; choose another for one")
        if not overwrite and os.path.lexists(output):
            raise VideoWriteError(f"{output} exists; choose another name, or add --overwrite")
    for folder in {output.absolute().parent for output in outputs}:
        _check_writable(folder)


def is_same_file(one: Path, other: Path) -> bool:
    """Whether two names lead to one file: by device and inode, else where both would be."""
    with contextlib.suppress(OSError):
        return os.path.samefile(one, other)
    return os.path.normcase(_place(one)) == os.path.normcase(_place(other))


def _place(path: Path) -> Path:
    """The path with its folder's links resolved, but not its own."""
    return path.absolute().parent.resolve() / path.name


def _check_place(output: Path) -> None:
    _check_name(output)
    if output.is_dir():
        raise VideoWriteError(f"{output} is a folder; name a file in it")
    if not output.absolute().parent.is_dir():
        raise VideoWriteError(f"the folder {output.parent} does not exist; create it first")
    if os.path.lexists(output) and not (output.is_file() or output.is_symlink()):
        raise VideoWriteError(f"{output} is no ordinary file (a device or a pipe); name a file")


def _check_name(output: Path) -> None:
    """Ask the file system about the final name, which only the end of the work would create."""
    try:
        os.lstat(output)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            size = len(os.fsencode(output.name))
            raise VideoWriteError(
                f"{output}: the name is too long for this folder ({size} bytes; most file systems "
                "take 255); choose a shorter one"
            ) from error


def _check_not_input(output: Path, inputs: Iterable[Path]) -> None:
    for source in inputs:
        if is_same_file(output, source):
            name = "" if output == source else f" ({source})"
            raise VideoWriteError(
                f"{output} is the input itself{name}; choose another name for the output"
            )


def _check_writable(folder: Path) -> None:
    try:
        with _created(folder, "") as path:
            path.unlink()
    except OSError as error:
        raise VideoWriteError(
            f"no permission to write into the folder {folder} ({error.strerror})"
        ) from error


@contextmanager
def _created(folder: Path, suffix: str) -> Iterator[Path]:
    """A new empty file under a random name; removed if the block fails."""
    path = folder / _random_name(suffix)
    _create(path)
    try:
        yield path
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _random_name(suffix: str) -> str:
    return f".vr-{secrets.token_hex(6)}{suffix}"


def _create(path: Path) -> None:
    """Create a file that was not there; a link at its place is an error, not followed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    os.close(os.open(path, flags, 0o666))


class OutputFile:
    """One file on its way to its final name.

    Args:
        path: the final name; its folder exists. Checked as by `check_outputs`.
        inputs: files that are never replaced.
        overwrite: whether a file of the final name is replaced.
        lock: of the output, where the caller holds it; it stays the caller's.

    Raises:
        UsageError, VideoWriteError: on entering, as `check_outputs`, or if another run writes it.
    """

    def __init__(
        self,
        path: Path,
        *,
        inputs: Iterable[Path] = (),
        overwrite: bool = False,
        lock: OutputLock | None = None,
    ) -> None:
        self.path = path
        self.temporary = path.absolute().parent / _random_name(_short_suffix(path))
        """Where the data goes until `publish`; exists from entering on."""
        self._inputs = list(inputs)
        self._overwrite = overwrite
        self._own_lock = lock is None
        self._lock = lock or OutputLock(path)

    def __enter__(self) -> Self:
        check_outputs([self.path], inputs=self._inputs, overwrite=self._overwrite)
        if self._own_lock:
            self._lock.acquire()
        _unfinished.add(self)
        try:
            with _told(self.path):
                self._lock.add_temporary(self.temporary)
                _create(self.temporary)
        except BaseException:
            self.abandon()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abandon()

    def publish(self) -> None:
        """Bring the data to the disk and give it its final name.

        Raises:
            VideoWriteError: if that fails, or a file appeared under the final name meanwhile and
                may not be replaced. Nothing has the final name then, or what had it before.
        """
        with _told(self.path):
            if not stat.S_ISREG(os.lstat(self.temporary).st_mode):
                raise VideoWriteError(f"{self.temporary}: was replaced by something else")
            sync_file(self.temporary)
            _check_not_input(self.path, self._inputs)
            _rename(self.temporary, self.path, self._overwrite)
        self.abandon()

    def abandon(self) -> None:
        """Remove the temporary, unless it was published, and the lock."""
        with contextlib.suppress(OSError):
            self.temporary.unlink(missing_ok=True)
        if self._own_lock:
            self._lock.release()
        _unfinished.discard(self)


_unfinished: set[OutputFile] = set()


def abandon_outputs() -> None:
    """Remove the temporaries and locks of all unfinished outputs of this process."""
    for output in tuple(_unfinished):
        output.abandon()
    release_locks()


def _forget_after_fork() -> None:
    """The unfinished outputs are the parent's."""
    _unfinished.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)


def write_whole(
    path: Path,
    data: bytes | Callable[[BinaryIO], object],
    *,
    inputs: Iterable[Path] = (),
    overwrite: bool = False,
) -> None:
    """Write a file, completely or not at all.

    Args:
        path: as for `OutputFile`.
        data: what the file holds, or a function that writes it into an open file.
        inputs: as for `OutputFile`.
        overwrite: as for `OutputFile`.

    Raises:
        UsageError, VideoWriteError: as `OutputFile`.
    """
    with OutputFile(path, inputs=inputs, overwrite=overwrite) as output:
        with _told(path), output.temporary.open("wb") as file:
            if isinstance(data, bytes):
                file.write(data)
            else:
                data(file)
        output.publish()


@contextmanager
def after_writing(*written: Path) -> Iterator[None]:
    """Let an error of a later output also say which outputs are complete.

    Raises:
        VideoWriteError: the one of the block, with the names of what was written before.
    """
    try:
        yield
    except VideoWriteError as error:
        if not written:
            raise
        told = f"{written[0]} was" if len(written) == 1 else f"{_listed(written)} were"
        raise VideoWriteError(f"{error}; {told} written and complete") from error


def _listed(paths: Sequence[Path]) -> str:
    return f"{', '.join(map(str, paths[:-1]))} and {paths[-1]}"


_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def _short_suffix(path: Path) -> str:
    """The ending, by which writers may choose a format, unless it is none."""
    suffix = path.suffix
    return suffix if len(suffix) <= 13 and suffix[1:].isascii() and suffix[1:].isalnum() else ""


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Re-raise errors of the operating system as `VideoWriteError`."""
    try:
        yield
    except VideoWriteError:
        raise
    except FileExistsError as error:
        raise VideoWriteError(
            f"{path} appeared during the run and was not replaced; choose another name, or add "
            "--overwrite"
        ) from error
    except OSError as error:
        what = "free some space, or " if error.errno in _FULL else ""
        raise VideoWriteError(
            f"{path}: cannot be written ({error.strerror or error}); {what}choose another place"
        ) from error


def publish(whole: Path, path: Path, *, overwrite: bool = False) -> None:
    """Give a file that is complete and on the disk its final name, on the same file system.

    Raises:
        VideoWriteError: that fails, or a file is there that may not be replaced.
    """
    with _told(path):
        _rename(whole, path, overwrite)


def _rename(whole: Path, path: Path, overwrite: bool) -> None:
    if overwrite:
        os.replace(whole, path)
    else:
        rename_new(whole, path)
    sync_folder(path.parent)
