"""What strangers put into files and names is refused in one line, and reaches no terminal."""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import empty_frames, face_frames, write_clip

from vidrestore.cli import main

ESCAPES = "\x1b[2J\x1b]0;owned\x07\nvidrestore: wrote \u202egpm.exe\x9b1A"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(
        tmp_path_factory.mktemp("clips") / "plain.mp4", empty_frames(3, width=64, height=48)
    )


def one_line(capsys: Capture, *arguments: object) -> tuple[int, str]:
    """Exit code and the only line of one run."""
    code = main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("vidrestore: ") and said.err.count("\n") == 1
    assert not set(said.err[:-1]) & set(map(chr, range(32)))
    assert "unexpected" not in said.err and "Traceback" not in said.err
    return code, said.err


PLAYLISTS = {
    "list.m3u8": "#EXTM3U\n#EXTINF:1,\nfile:///{clip}\n#EXT-X-ENDLIST\n",
    "hls.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n",
    "spaces.mkv": "\n #EXTM3U\n{clip}\n",
    "list.m3u": "{clip}\n",
    "list.pls": "[playlist]\nFile1={clip}\nNumberOfEntries=1\n",
    "concat.txt": "ffconcat version 1.0\nfile {clip}\n",
    "concat.mp4": "ffconcat version 1.0\nfile {clip}\n",
    "list.ffconcat": "# mine\nfile {clip}\n",
    "dash.mpd": '<?xml version="1.0"?>\n<MPD><BaseURL>{clip}</BaseURL></MPD>',
    "dash.mp4": '<?xml version="1.0"?>\n<!-- a -->\n<MPD><BaseURL>{clip}</BaseURL></MPD>',
    "call.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=video 5004 RTP/AVP 96\n",
    "call.avi": "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n",
    "script.avs": 'FFVideoSource("{clip}")\n',
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_playlists_are_no_videos(clip: Path, tmp_path: Path, capsys: Capture, name: str) -> None:
    path = tmp_path / name
    path.write_text(PLAYLISTS[name].format(clip=clip), encoding="utf-8")
    for command in ([], ["probe"], ["bench"]):
        output = [] if command else [tmp_path / "out.mp4"]
        code, said = one_line(capsys, *command, path, *output)
        assert code == 1 and "is a playlist" in said and name in said


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("http://127.0.0.1:9/a.mp4", "http://127.0.0.1:9/a.mp4: an address"),
        ("https://example.org/a.mp4", "an address"),
        ("rtsp://127.0.0.1/a", "an address"),
        ("file:{clip}", "an address"),
        ("concat:{clip}|{clip}", "an address"),
        ("subfile,,start,0,end,100,,:{clip}", "no such file"),
        ("pipe:0", "an address"),
        ("data:video/mp4;base64,AAAA", "an address"),
        ("async:cache:{clip}", "an address"),
        ("-", "must be a file"),
        ("frames_%04d.png", "no pictures of that name"),
        ("*.png", "by its folder, or by a pattern"),
        ("a" * 300 + ".mp4", "File name too long"),
        ("a\x1b[31m\n.mp4", "a\\x1b[31m"),
    ],
)
def test_addresses_are_no_files(
    clip: Path,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, told = one_line(capsys, source.format(clip=clip), "out.mp4")
    assert code == 1 and said in told


@pytest.mark.skipif(sys.platform == "win32", reason="no such names on Windows")
def test_files_named_like_addresses_are_files(
    clip: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("concat:a.mp4", "data:x.mp4", "a%03d.mp4", "a*.mp4"):
        Path(name).write_bytes(clip.read_bytes())
        assert main(["probe", name]) == 0
        assert "64x48" in capsys.readouterr().out


def test_a_movie_does_not_open_another_file(clip: Path, tmp_path: Path) -> None:
    """A MOV file may say that its samples lie in another file."""
    data = bytearray(clip.read_bytes())
    place = data.index(b"dref")
    assert data[place + 16 : place + 20] == b"url "
    assert data[place + 23] == 1  # The flag that says: in this file.
    data[place + 23] = 0
    (tmp_path / "refers.mov").write_bytes(data)
    from vidrestore.video.read.opening import _OPTIONS, open_container

    assert _OPTIONS["protocol_whitelist"] == "file" and "enable_drefs" not in _OPTIONS
    open_container(tmp_path / "refers.mov").close()


@pytest.fixture
def no_file(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "thing.mp4"
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "device":
        path.symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as server:
            os.chdir(tmp_path)  # The name of a socket is short.
            server.bind(path.name)
    yield path


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX")
@pytest.mark.parametrize("no_file", ["pipe", "device", "socket"], indirect=True)
def test_what_is_no_file_is_never_waited_for(
    clip: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, no_file: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    weights = tmp_path / "w.pth"
    weights.symlink_to(no_file)
    picture = tmp_path / "a.png"
    picture.symlink_to(no_file)
    runs: list[list[object]] = [
        [no_file, "out.mp4"],
        [clip, "out.mp4", "--config", no_file],
        [clip, "out.mp4", "--tracks", no_file],
        [clip, "out.mp4", "--model", weights],
        [clip, "out.mp4", "--detector", weights],
        ["probe", no_file],
        ["inspect", no_file, "--out", "t.json"],
        ["bench", no_file],
        ["degrade", no_file, "out.mp4", "--recipe", "vhs"],
        ["degrade", picture, "b.png", "--recipe", "vhs"],
        ["degrade", clip, "out.mp4", "--recipe", no_file],
        ["train", no_file, "--data", tmp_path, "--out", "runs"],
        ["evaluate", "--model", "embedded", "--pair", no_file, no_file],
        ["demo", "out.mp4", "--model", weights],
    ]
    for arguments in runs:
        begun = time.monotonic()
        code, said = one_line(capsys, *arguments)
        assert code in (1, 2) and "must be a file" in said, arguments
        assert time.monotonic() - begun < 20


def test_two_configurations_are_merged_in_order(
    clip: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "a.yaml").write_text("blend: {strength: 0.5, feather: 0.2}")
    (tmp_path / "b.yaml").write_text("blend: {strength: 0.25}")
    both = ["--config", str(tmp_path / "a.yaml"), "--config", str(tmp_path / "b.yaml")]
    assert main([str(clip), str(tmp_path / "o.mp4"), *both, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "strength: 0.25" in said and "feather: 0.2" in said


@pytest.mark.parametrize(
    "option",
    [
        ["--start", "1e308"],
        ["--start", "inf"],
        ["--end", "nan"],
        ["--device", "hpu"],
        ["--device", "privateuseone"],
        ["--device", "x" * 10_000],
        ["--threads", "9" * 5000],
        ["--start", "9" * 5000],
        ["--\x1b[31mred"],
        ["--strength", "\x1b[31m"],
        ["--drop", "\x1b]0;x\x07"],
    ],
    ids=lambda option: " ".join(option)[:20].encode("unicode_escape").decode(),
)
def test_options_without_sense_are_usage_errors(
    clip: Path, tmp_path: Path, capsys: Capture, option: list[str]
) -> None:
    code, said = one_line(capsys, clip, tmp_path / "out.mp4", "--model", "debug", *option)
    assert code == 2 and len(said) < 1000 + len(str(tmp_path))


def titled(path: Path) -> Path:
    """A clip whose every name and title holds escapes."""
    with av.open(str(path), "w") as container:
        container.metadata["title"] = ESCAPES
        container.metadata["artist"] = ESCAPES
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.metadata["title"] = ESCAPES
        sound = container.add_stream("flac", rate=48000, layout="mono")
        sound.metadata["title"] = ESCAPES
        sound.metadata["language"] = "\x1b[31m"
        container.add_attachment(ESCAPES, "text/\x1b[31m", b"data")
        container.set_chapters(
            [
                {
                    "id": 1,
                    "start": 0,
                    "end": 40,
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": ESCAPES},
                }
            ]
        )
        for number, image in enumerate(empty_frames(3, width=64, height=48)):
            frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.int16), "s16", "mono")
        silence.sample_rate, silence.pts = 48000, 0
        container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
    return path


def assert_harmless(text: str) -> None:
    for line in text.split("\n"):
        assert line.isprintable(), repr(line)
        assert not line.startswith("vidrestore: wrote \\u202e")
    assert text.count("wrote") <= text.count("\\x1b[2J") + 1


@pytest.mark.skipif(sys.platform == "win32", reason="no such names on Windows")
def test_titles_and_names_reach_no_terminal(tmp_path: Path, capsys: Capture) -> None:
    path = titled(tmp_path / "a\x1b[31m\nb.mkv")
    out = tmp_path / "out\x1b[32m\u202e.mkv"
    for arguments in (
        ["probe", path],
        [path, out, "--dry-run"],
        [path, out, "--model", "debug", "-vv", "--progress", "json"],
        [path, out, "--model", "debug"],
        ["inspect", path, "--out", tmp_path / "t\x1b[33m.json"],
    ):
        main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert "\\x1b[3" in said.out + said.err or arguments[0] == "inspect"
        assert_harmless(said.out + said.err)
    assert out.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no UTF-8 are Linux's")
def test_names_that_are_no_utf8_work_everywhere(tmp_path: Path, capsys: Capture) -> None:
    def named(text: bytes) -> Path:
        return tmp_path / os.fsdecode(text)

    source = write_clip(named(b"caf\xe9.mp4"), face_frames(4, width=160, height=120))
    output, report = named(b"out\xe9.mp4"), named(b"rep\xe9.json")
    preview, tracks, preset = named(b"p\xe9.png"), named(b"t\xe9.json"), named(b"c\xe9.yaml")
    preset.write_text("blend: {strength: 0.5}")
    inspect = ["inspect", source, "--out", tracks, "--plot", named(b"plot\xe9.png")]
    inspect += ["--video", named(b"v\xe9.mp4")]
    restore = [source, output, "--model", "debug", "--tracks", tracks, "--config", preset]
    restore += ["--report", report, "--preview", preview]
    for arguments in (inspect, restore, ["probe", output]):
        assert main([str(argument) for argument in arguments]) == 0
        assert_harmless("".join(capsys.readouterr()))
    record = json.loads(report.read_bytes().decode("utf-8"))
    assert record["source"].endswith("caf\\xe9.mp4") and record["output"].endswith("out\\xe9.mp4")
    assert record["config"]["track"]["file"].endswith("t\\xe9.json")
    json.dumps(record, ensure_ascii=False).encode("utf-8")
    assert json.loads(tracks.read_bytes().decode("utf-8"))["source"].endswith("caf\\xe9.mp4")
    assert stat.S_ISREG(os.stat(output).st_mode) and preview.exists()


@pytest.mark.parametrize("name", ["laughs_value", "laughs_option", "deep", "bigint"])
def test_configurations_that_were_found(
    clip: Path, shared: Path, tmp_path: Path, capsys: Capture, name: str
) -> None:
    preset = shared / "hostile" / f"{name}.yaml"
    assert one_line(capsys, clip, tmp_path / "out.mp4", "--config", preset)[0] == 2
