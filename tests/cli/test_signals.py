"""Ending a run by a signal, once or twice, leaves nothing behind; so does the run after a kill."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from clips import face_frames, write_clip
from quick import QUICK_ARGUMENTS

from vidrestore.cli import main

if not hasattr(signal, "SIGHUP"):
    pytest.skip("needs POSIX signals", allow_module_level=True)

ENDING = {
    signal.SIGHUP: 129,
    signal.SIGINT: 130,
    signal.SIGQUIT: 131,
    signal.SIGTERM: 143,
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Longer than any run is let go on."""
    frames = face_frames(20, width=160, height=120)
    return write_clip(
        tmp_path_factory.mktemp("clips") / "face.mp4",
        [frames[abs(i % 38 - 19)] for i in range(400)],
    )


def default_signals() -> None:
    """What a terminal hands down; a background shell would hand down INT as ignored."""
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)


def started(clip: Path, output: Path, *more: str, code: str = "") -> subprocess.Popen[str]:
    """A run that has written its first frames."""
    program = f"import sys; {code}\nfrom vidrestore.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, str(clip), str(output), *more]
    command += [*QUICK_ARGUMENTS, "--progress", "json"]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, preexec_fn=default_signals
    )
    assert process.stderr is not None
    for line in process.stderr:
        if '"frames"' in line:
            return process
    pytest.fail("it ended before its first frame")


@pytest.mark.soak
@pytest.mark.parametrize("number", ENDING, ids=lambda number: number.name)
def test_a_signal_leaves_nothing(clip: Path, tmp_path: Path, number: signal.Signals) -> None:
    end_by(number, started(clip, tmp_path / "out.mp4"), tmp_path)


def end_by(number: signal.Signals, process: subprocess.Popen[str], folder: Path) -> None:
    process.send_signal(number)
    rest = process.communicate(timeout=60)[1]
    assert process.returncode == ENDING[number], rest
    assert "Traceback" not in rest
    assert rest.count("vidrestore:") == 1
    assert list(folder.iterdir()) == []


SLOW = """
import sys, time, vidrestore.pipeline as pipeline
whole = pipeline.blend
def blend(*arguments, **named):
    for number, frame in enumerate(whole(*arguments, **named)):
        if number == 3:
            print("stuck", file=sys.stderr, flush=True)
            time.sleep(600)
        yield frame
pipeline.blend = blend
"""


@pytest.mark.parametrize(
    "second",
    [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.soak)],
    ids=lambda one: one.name,
)
def test_a_second_signal_ends_at_once(clip: Path, tmp_path: Path, second: signal.Signals) -> None:
    """The first one waits for a stage that is stuck; the second does not."""
    process = started(clip, tmp_path / "out.mp4", "--end", "0.8", code=f"exec({SLOW!r})")
    assert process.stderr is not None
    while "stuck" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(second)
    begun = time.monotonic()
    rest = process.communicate(timeout=60)[1]
    assert time.monotonic() - begun < 1.0
    assert process.returncode == ENDING[second]
    assert "Traceback" not in rest and "generator already executing" not in rest
    assert [path.suffix for path in tmp_path.iterdir()] == [".job"]


def test_what_a_killed_run_leaves_goes_with_the_next(clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    process = started(clip, output)
    process.kill()
    process.communicate()
    assert len(list(tmp_path.iterdir())) == 2 and not output.exists()
    assert main([str(clip), str(output), *QUICK_ARGUMENTS, "--end", "0.4", "--restart"]) == 0
    assert list(tmp_path.iterdir()) == [output]


def test_a_hang_up_that_nohup_ignores_is_ignored(clip: Path, tmp_path: Path) -> None:
    """And the signal that does end the run leaves nothing."""
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    process = started(clip, tmp_path / "out.mp4", code=code)
    process.send_signal(signal.SIGHUP)
    assert process.stderr is not None and '"frames"' in process.stderr.readline()
    end_by(signal.SIGTERM, process, tmp_path)
