"""`vidrestore batch`: its commands, what they say, and their exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from clips import face_frames, write_clip

from vidrestore.batch.state import BatchFolder
from vidrestore.batch.worker import Worker
from vidrestore.cli import main
from vidrestore.cli.batch import batch
from vidrestore.cli.restore import restore

QUICK = ["--model", "debug", "--detect.refine-passes", "0", "--detect.rotated", "false"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with a video and a broken one."""
    folder = tmp_path / "in"
    folder.mkdir()
    write_clip(folder / "N_1_01of02.mkv", face_frames(3, width=96, height=64), codec="ffv1")
    (folder / "N_1_02of02.mkv").write_bytes(b"hello")
    return folder


def test_plan_status_retry_verify(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["batch", "plan", str(source), str(out), *QUICK, "--max-attempts", "1"]) == 0
    said = capsys.readouterr().out
    assert "N_1_01of02.mkv: ffv1, yuv420p" in said and "2 new videos, 0 known, 1 that" in said
    assert "N_1_02of02.mkv: cannot be restored" in said
    assert main(["batch", "status", str(out)]) == 0
    assert "0 done, 0 in work, 2 waiting, 0 failed" in capsys.readouterr().out
    Worker(BatchFolder(out)).run()
    assert main(["batch", "status", str(out), "--json", "--videos"]) == 3
    said, told = capsys.readouterr()
    record = json.loads(said)
    assert (record["done"], record["failed"], len(record["items"])) == (1, 1, 2)
    assert told.startswith("vidrestore: 1 of 2 videos failed") and told.count("\n") == 1
    assert (out / "vidrestore-batch" / "index.html").is_file()
    assert main(["batch", "verify", str(out), "--frames"]) == 0
    (out / "N_1_01of02.mkv").unlink()
    assert main(["batch", "verify", str(out)]) == 3
    assert "N_1_01of02.mkv is missing" in capsys.readouterr().out
    assert main(["batch", "retry", str(out), "N_1_01of02.mkv"]) == 0  # its output is gone
    Worker(BatchFolder(out)).run()
    assert main(["batch", "verify", str(out)]) == 0
    assert main(["batch", "retry", str(out), "N_1_01of02.mkv"]) == 2
    assert "has not failed; it is done; remove the output" in capsys.readouterr().err
    assert main(["batch", "retry", str(out)]) == 0
    assert "1 video will be tried again" in capsys.readouterr().out
    assert main(["batch", "retry", str(out), "nothing.mkv"]) == 2


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("batch in", 2, "Missing argument"),
        ("batch in out --workers many", 2, "--workers many"),
        ("batch in out --devices abacus", 2, "device abacus"),
        ("batch in out --strength 7", 2, "blend.strength"),
        ("batch in out --model nosuch", 2, "unknown restorer"),
        ("batch in out --ending .xyz", 1, "names no container"),
        ("batch nothing out", 1, "no such file"),
        ("batch run in", 2, "holds no batch"),
        ("batch status in", 2, "holds no batch"),
        ("batch in out --tracks t.json", 2, "No such option"),
    ],
)
def test_what_is_wrong_is_one_line(
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    line: str,
    code: int,
    words: str,
) -> None:
    monkeypatch.chdir(source.parent)
    assert main(line.split()) == code
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1
    assert not (source.parent / "out").exists()


@pytest.mark.soak
def test_a_batch_from_end_to_end(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    line = ["batch", str(source), str(out), *QUICK, "--devices", "cpu", "--progress", "json"]
    assert main(line) == 3
    told = capsys.readouterr().err.splitlines()
    lines = [json.loads(one) for one in told if one.startswith("{")]
    assert lines[-1]["done"] == 1 and lines[-1]["failed"] == 1 and lines[-1]["time"]
    assert told[-1].startswith("vidrestore: 1 of 2 videos failed")
    assert any("not a video" in one for one in told)
    (source / "N_1_02of02.mkv").write_bytes((source / "N_1_01of02.mkv").read_bytes())
    assert main(["batch", "retry", str(out)]) == 0
    assert main(line) == 0
    assert (out / "N_1_02of02.mkv").read_bytes() == (out / "N_1_01of02.mkv").read_bytes()


def test_the_guide_names_options_that_there_are() -> None:
    guide = Path(__file__).parents[2] / "docs" / "batch.md"
    commands = [batch.commands[name] for name in batch.commands]
    known = {flag for one in (*commands, restore) for p in one.params for flag in p.opts}
    named = set()
    for line in guide.read_text(encoding="utf-8").replace("\n--", " --").splitlines():
        for part in re.split(r"(?<![=\w/-])vidrestore ", line)[1:]:
            named |= set(re.findall(r"(?<![\w-])--[a-z][a-z.-]*", part))
    assert len(named) > 10 and named <= known
