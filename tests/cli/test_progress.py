"""What progress says on stderr, while frames are restored and in other steps."""

from __future__ import annotations

import json

import pytest

from vidrestore.cli.progress import show_progress
from vidrestore.run import Progress

GOES_ON = [
    Progress(50, 100, 0.0, None),
    Progress(50, 100, 0.0, None, "reading again", 0.5),
    *(Progress(frames, 100, 20.0, 1.0) for frames in range(51, 101)),
    Progress(100, 100, 0.0, None, "joining", 0.25),
]


@pytest.mark.parametrize("kind", ["bar", "json"])
def test_steps_around_restoring_are_told(
    kind: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidrestore.cli.progress._SAID_EVERY_S", 0.0)
    with show_progress(kind) as report:
        assert report is not None
        for now in GOES_ON:
            report(now)
    said = capsys.readouterr().err
    if kind == "bar":
        assert "reading again 50%:  50%" in said and "joining 25%: 100%" in said
        assert "joining" not in said.rpartition("\r")[2]  # what stays on the screen
        return
    lines = [json.loads(line) for line in said.splitlines()]
    assert lines[1] == {"step": "reading again", "share": 0.5}
    assert lines[-1] == {"step": "joining", "share": 0.25}
    assert [line["frames"] for line in lines if "frames" in line] == [50, *range(51, 101)]
