"""Jobs that lie in a folder: what they are for, and how far they have come."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vidrestore.jobs.store import JOB_ENDING, FolderStore
from vidrestore.runtime.output_lock import OutputLock
from vidrestore.runtime.words import counted

__all__ = ["StoredJob", "list_jobs", "remove_job"]


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A run that was stopped, or is at work."""

    folder: Path
    source: str
    output: str
    done: str
    """How far it is, in words."""
    size: int
    """Bytes that it stores."""
    is_running: bool
    """Whether a run on this machine is at work on it."""


def list_jobs(folder: Path) -> list[StoredJob]:
    """Give the jobs that lie in a folder, by name."""
    found = []
    for path in sorted(folder.glob(f".vr-*{JOB_ENDING}")):
        plan = FolderStore(path).read("plan") if path.is_dir() and not path.is_symlink() else None
        if plan is not None and plan.get("format") == "vidrestore job":
            size = sum(one.stat().st_size for one in path.rglob("*") if one.is_file())
            is_running = OutputLock(Path(plan["output"])).is_held()
            found.append(
                StoredJob(path, plan["source"], plan["output"], _done(path), size, is_running)
            )
    return found


def remove_job(job: StoredJob) -> None:
    """Remove what a job stores.

    Raises:
        VideoWriteError: a run is at work on it.
    """
    output = Path(job.output)
    if not output.parent.is_dir():
        FolderStore(job.folder).remove()
        return
    lock = OutputLock(output)
    lock.acquire()
    try:
        FolderStore(job.folder).remove()
    finally:
        lock.release()


def _done(folder: Path) -> str:
    store = FolderStore(folder)
    segments = store.read("segments")
    done = len(store.stored_segments())
    if segments is None:  # nobody knows yet how many there will be
        return f"{counted(done, 'segment')} restored" if done else "no segment restored yet"
    return f"{done} of {len(segments['first_frames'])} segments restored"
