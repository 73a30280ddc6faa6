"""Two runs never write the same file, on one machine or on several that share a folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from vidrestore.errors import VideoWriteError
from vidrestore.runtime import file_lock, output_lock
from vidrestore.runtime.host import Host, this_host
from vidrestore.runtime.output_lock import STALE_S, OutputLock

THERE = Host("there", "machine-2", "boot-2")


@pytest.fixture(autouse=True)
def _own_notes(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDRESTORE_HOME", str(tmp_path_factory.mktemp("home")))


def test_the_second_is_told_who_the_first_is(tmp_path: Path) -> None:
    first = OutputLock(tmp_path / "out.mp4")
    first.acquire()
    with pytest.raises(VideoWriteError, match=rf"process {os.getpid()} on .* since 20\d\d-"):
        OutputLock(tmp_path / "out.mp4").acquire()
    OutputLock(tmp_path / "other.mp4").acquire()
    first.release()
    OutputLock(tmp_path / "out.mp4").acquire()


def test_releasing_leaves_nothing(tmp_path: Path) -> None:
    lock = OutputLock(tmp_path / "out.mp4")
    lock.acquire()
    lock.release()
    lock.release()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="elsewhere locks are never shared")
def test_who_looks_in_the_moment_of_a_beginning_is_not_taken_for_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, looks, release = OutputLock(tmp_path / "a.mkv"), threading.Event(), file_lock.unlock
    lock.path.touch()  # as a run that died leaves it

    def release_late(file: int, offset: int = 0) -> None:
        if not looks.is_set():
            looks.set()
            time.sleep(0.1)
        release(file, offset)

    monkeypatch.setattr(file_lock, "unlock", release_late)
    looking = threading.Thread(target=OutputLock(tmp_path / "a.mkv").is_held)
    looking.start()
    assert looks.wait(10)
    assert not OutputLock(tmp_path / "a.mkv").is_held()  # two who look
    lock.acquire()
    looking.join()
    assert OutputLock(tmp_path / "a.mkv").is_held()
    lock.release()


def test_names_of_255_bytes_can_be_locked(tmp_path: Path) -> None:
    lock = OutputLock(tmp_path / ("ä" * 125 + "x.mp4"))
    lock.acquire()
    lock.release()


HOLDER = """
import sys
from pathlib import Path
from vidrestore.runtime.output_file import OutputFile
with OutputFile(Path(sys.argv[1])) as output:
    output.temporary.write_bytes(b"half")
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(output: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(output)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_a_killed_run_blocks_nobody_and_its_leftovers_go(tmp_path: Path) -> None:
    process = holder(tmp_path / "out.mp4")
    with pytest.raises(VideoWriteError, match=f"process {process.pid} "):
        OutputLock(tmp_path / "out.mp4").acquire()
    process.kill()
    process.communicate()
    assert len(list(tmp_path.iterdir())) == 2
    lock = OutputLock(tmp_path / "out.mp4")
    lock.acquire()
    assert list(tmp_path.iterdir()) == [lock.path]
    lock.release()


def left_by_other_machine(tmp_path: Path, temporaries: list[str]) -> Path:
    """A lock file as another machine leaves it."""
    lock = OutputLock(tmp_path / "out.mp4", host=THERE)
    lock.acquire()
    for name in temporaries:
        lock.add_temporary(tmp_path / name)
    data = lock.path.read_bytes()
    lock.release()
    lock.path.write_bytes(data)
    return lock.path


def test_another_machine_is_believed_until_its_heartbeat_stands_still(tmp_path: Path) -> None:
    path = left_by_other_machine(tmp_path, [])
    now = 5_000_000.0
    for seconds in (0, 1, STALE_S - 1):
        with pytest.raises(VideoWriteError, match=r"on there since .*in 10 minutes"):
            OutputLock(tmp_path / "out.mp4", clock=lambda s=seconds: now + s).acquire()  # type: ignore[misc]
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"heartbeat": record["heartbeat"] + 1}))
    with pytest.raises(VideoWriteError):  # it lives: ten more minutes
        OutputLock(tmp_path / "out.mp4", clock=lambda: now + STALE_S + 1).acquire()
    with pytest.raises(VideoWriteError):
        OutputLock(tmp_path / "out.mp4", clock=lambda: now + 2 * STALE_S).acquire()
    OutputLock(tmp_path / "out.mp4", clock=lambda: now + 2 * STALE_S + 2).acquire()


def test_clocks_of_machines_may_differ(tmp_path: Path) -> None:
    """Only the observer's own clock counts, also when it is set back."""
    left_by_other_machine(tmp_path, [])
    for now in (1e9, 1e6):
        with pytest.raises(VideoWriteError):
            OutputLock(tmp_path / "out.mp4", clock=lambda now=now: now).acquire()  # type: ignore[misc]
    with pytest.raises(VideoWriteError):
        OutputLock(tmp_path / "out.mp4", clock=lambda: 1e6 + STALE_S - 1).acquire()
    OutputLock(tmp_path / "out.mp4", clock=lambda: 1e6 + STALE_S).acquire()


def test_this_machine_started_again_is_this_machine() -> None:
    now = Host("here", "machine-1", "boot-1")
    assert now.is_same(Host("here", "machine-1", "boot-9"))
    assert now.is_same(Host("renamed", "", "boot-1"))
    assert not now.is_same(Host("here", "machine-2", "boot-2"))


def test_without_locks_of_the_system_the_heartbeat_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On some network shares `flock` is refused: a holder on this machine is not seen then."""
    monkeypatch.setattr(output_lock, "try_lock", lambda file, offset: None)
    first = OutputLock(tmp_path / "out.mp4", clock=lambda: 1000.0)
    first.acquire()
    with pytest.raises(VideoWriteError, match=f"process {os.getpid()}"):
        OutputLock(tmp_path / "out.mp4", clock=lambda: 1000.0).acquire()
    first.beat()
    with pytest.raises(VideoWriteError):
        OutputLock(tmp_path / "out.mp4", clock=lambda: 1000.0 + STALE_S).acquire()


def test_a_forged_lock_removes_no_file_of_the_user(tmp_path: Path) -> None:
    precious = tmp_path / "holiday.mp4"
    precious.write_text("precious")
    (tmp_path / "sub").mkdir()
    inner = tmp_path / "sub" / ".vr-0123456789ab.mp4"
    inner.write_text("precious")
    names = ["holiday.mp4", "sub/.vr-0123456789ab.mp4", "../x", ".vr-0123456789ab.mp4"]
    (tmp_path / names[-1]).symlink_to(precious)
    record = {
        "format": "vidrestore lock",
        "version": 1,
        "host": {"name": this_host().name, "machine": "", "boot": ""},
        "process": 1,
        "since": "",
        "output": "out.mp4",
        "heartbeat": 0,
        "temporaries": names,
    }
    lock = OutputLock(tmp_path / "out.mp4", host=Host(this_host().name, "", ""))
    lock.path.write_text(json.dumps(record))
    lock.acquire()
    assert precious.read_text() == inner.read_text() == "precious"
    assert not os.path.lexists(tmp_path / names[-1])  # the link went, its target did not


def test_a_link_where_the_lock_belongs_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    lock = OutputLock(tmp_path / "out.mp4")
    lock.path.symlink_to(precious)
    with pytest.raises(VideoWriteError, match="link"):
        lock.acquire()
    assert precious.read_text() == "precious"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_keeps_no_lock_of_its_parent(tmp_path: Path) -> None:
    lock = OutputLock(tmp_path / "out.mp4")
    lock.acquire()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        lock.release()  # is not its own
        os.read(read, 1)
        os._exit(0)
    assert lock.path.exists()
    lock.release()
    other = OutputLock(tmp_path / "out.mp4")
    other.acquire()
    other.release()
    os.close(write)
    os.waitpid(child, 0)
    os.close(read)
