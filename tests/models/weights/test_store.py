"""A weights file arrives whole and right or not at all, and is checked before it is used."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from vidrestore.errors import DownloadError, WeightsError
from vidrestore.models import zoo
from vidrestore.models.weights import store as weights
from vidrestore.models.zoo import ModelSpec

CONTENT = bytes(range(256)) * 1000


def leftovers(home: Path) -> set[str]:
    return {path.name for path in (home / "weights").iterdir()} - {"tiny.pth.lock"}


def test_home_is_the_named_folder_or_the_platforms_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("VIDRESTORE_HOME", str(tmp_path))
    assert weights.folder() == tmp_path / "weights"
    monkeypatch.delenv("VIDRESTORE_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if sys.platform == "linux":
        assert weights.folder() == tmp_path / "cache" / "vidrestore" / "weights"


def test_pull_brings_the_file_and_tells_progress(home, row):
    spec, told = row(CONTENT), []
    assert not weights.is_installed(spec)
    path = weights.pull(spec, on_download=lambda *event: told.append(event))
    assert path == home / "weights" / "tiny.pth"
    assert path.read_bytes() == CONTENT
    assert weights.is_installed(spec)
    assert weights.ready(spec) == path
    received = [event[1] for event in told]
    assert {event[0] for event in told} == {spec}
    assert {event[2] for event in told} == {len(CONTENT)}
    assert received == sorted(received) and received[0] == 0 and received[-1] == len(CONTENT)
    assert leftovers(home) == {"tiny.pth", "tiny.pth.checked"}


def test_what_is_there_is_not_downloaded_again(home, row, server):
    spec = row(CONTENT)
    weights.pull(spec)
    weights.pull(spec)
    assert len(server.requests) == 1


def test_a_broken_transfer_goes_on_where_it_stopped(home, row, server):
    spec = row(CONTENT)
    server.cuts = [100_000, 50_000]
    assert weights.pull(spec).read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, "bytes=100000-", "bytes=150000-"]


def test_a_later_run_continues_the_part_of_an_earlier_one(home, row, server):
    spec = row(CONTENT)
    server.cuts = [70_000, 0, 0, 0, 0, 0]
    with pytest.raises(DownloadError, match="broken off at 70000 of 256000 bytes"):
        weights.pull(spec)
    assert leftovers(home) == {"tiny.pth.part"}
    server.cuts.clear()
    assert weights.pull(spec).read_bytes() == CONTENT
    assert server.requests[-1] == ("tiny.pth", "bytes=70000-")


def test_a_server_without_ranges_starts_again(home, row, server):
    spec = row(CONTENT)
    server.supports_range = False
    server.cuts = [100_000]
    assert weights.pull(spec).read_bytes() == CONTENT


def test_a_server_that_does_not_tell_the_size_is_good_enough(home, row, server):
    server.tells_size = False
    server.cuts = [100_000]
    assert weights.pull(row(CONTENT)).read_bytes() == CONTENT


def test_redirects_are_followed_with_the_place_to_go_on(home, row, server):
    spec = row(CONTENT, url=f"{server.url}/release")
    server.redirects["release"] = f"{server.url}/tiny.pth"
    server.cuts = [100_000]
    assert weights.pull(spec).read_bytes() == CONTENT
    assert server.requests[-1] == ("tiny.pth", "bytes=100000-")


def test_a_silent_server_is_left_and_asked_again(home, row, server):
    spec = row(CONTENT)
    server.stalls_s = [2.0]
    assert weights.pull(spec, timeout_s=0.3).read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_busy_server_is_asked_again(home, row, server):
    spec = row(CONTENT)
    server.statuses = [503, 429]
    assert weights.pull(spec).read_bytes() == CONTENT


@pytest.mark.parametrize("part", [b"something else", CONTENT + b"more", b"x" * len(CONTENT)])
def test_a_part_that_does_not_fit_is_thrown_away(home, row, part):
    spec = row(CONTENT)
    (home / "weights").mkdir(parents=True)
    (home / "weights" / "tiny.pth.part").write_bytes(part)
    assert weights.pull(spec).read_bytes() == CONTENT
    assert "tiny.pth.part" not in leftovers(home)


def test_mirrors_are_tried_in_order(home, row, server):
    wrong = bytes(reversed(CONTENT))
    server.files |= {"wrong": wrong, "short": wrong[:-1], "good": CONTENT, "unused": CONTENT}
    places = [f"{server.url}/{name}" for name in ("missing", "short", "wrong", "good", "unused")]
    spec = row(CONTENT, url=places[0], mirrors=tuple(places[1:]))
    assert weights.pull(spec).read_bytes() == CONTENT
    assert [name for name, _ in server.requests] == ["missing", "short", "wrong", "good"]


def test_wrong_content_never_gets_the_name(home, row, server):
    spec = row(CONTENT)
    server.files["tiny.pth"] = bytes(reversed(CONTENT))
    with pytest.raises(DownloadError, match=r"wrong content \(sha256 starts \w{8}…, expected"):
        weights.pull(spec)
    assert leftovers(home) == set()


def test_another_size_is_refused_before_the_transfer(home, row, server):
    spec = row(CONTENT)
    server.files["tiny.pth"] = CONTENT * 2
    with pytest.raises(DownloadError, match="has 512000 bytes, expected 256000"):
        weights.pull(spec)
    assert leftovers(home) == set()


def test_endless_content_is_cut(home, row, server):
    spec = row(CONTENT)
    server.files["tiny.pth"], server.tells_size = CONTENT * 2, False
    with pytest.raises(DownloadError, match="more than 256000 bytes"):
        weights.pull(spec)


def test_offline_gives_one_line_with_file_address_and_place(home, row):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/tiny.pth"
    spec = row(url=url)
    with pytest.raises(DownloadError) as caught:
        weights.pull(spec)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("weights tiny.pth: ")
    assert f"get it from {url} and put it at {home / 'weights' / 'tiny.pth'}" in message


def test_a_file_put_there_by_hand_is_checked_and_accepted(home, row, server):
    spec = row(CONTENT)
    weights.path_of(spec).parent.mkdir(parents=True)
    weights.path_of(spec).write_bytes(CONTENT)
    assert weights.ready(spec) == weights.path_of(spec)
    assert weights.pull(spec) == weights.path_of(spec)
    assert server.requests == []


@pytest.mark.parametrize("use", [weights.ready, weights.pull, weights.verify])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (CONTENT[:-1], "255999 bytes, expected 256000"),
        (bytes(reversed(CONTENT)), "sha256 starts .{8}…, expected .{8}…"),
    ],
)
def test_a_wrong_file_is_refused_and_the_remedy_named(home, row, use, content, words):
    spec = row(CONTENT)
    weights.path_of(spec).parent.mkdir(parents=True)
    weights.path_of(spec).write_bytes(content)
    with pytest.raises(WeightsError, match=f"weights tiny.pth: {words}; delete the file"):
        use(spec)
    assert weights.path_of(spec).read_bytes() == content


def test_a_checked_file_is_not_read_again_until_it_changes(home, row, monkeypatch):
    spec = row(CONTENT)
    path = weights.pull(spec)
    read: list[Path] = []
    real = weights.sha256_of
    monkeypatch.setattr(weights, "sha256_of", lambda path: read.append(path) or real(path))
    weights.ready(spec)
    assert read == []
    damaged = bytearray(CONTENT)
    damaged[1000] ^= 1
    stat = path.stat()
    path.write_bytes(damaged)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    with pytest.raises(WeightsError, match="sha256 starts"):
        weights.ready(spec)


def test_verify_reads_the_whole_file_every_time(home, row):
    spec = row(CONTENT)
    path = weights.pull(spec)
    assert weights.verify(spec) == spec.sha256
    stat, damaged = path.stat(), bytearray(CONTENT)
    damaged[1000] ^= 1
    path.write_bytes(damaged)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert weights.ready(spec) == path  # Unchanged, for all that size and time tell.
    with pytest.raises(WeightsError, match="sha256 starts"):
        weights.verify(spec)


def test_a_missing_file_is_named_with_the_command_that_brings_it(home, row):
    with pytest.raises(WeightsError, match=r"models pull tiny-1\.0"):
        weights.ready(row())
    with pytest.raises(WeightsError, match=r"models pull tiny-1\.0"):
        weights.verify(row())


def test_without_a_published_checksum_the_first_file_is_remembered(home, row, server):
    spec = row(CONTENT, sha256=None, bytes=None)
    with pytest.raises(WeightsError, match="--allow-unverified"):
        weights.pull(spec)
    assert server.requests == []
    path = weights.pull(spec, allow_unverified=True)
    assert weights.ready(spec) == weights.pull(spec) == path
    path.write_bytes(b"something else")
    for use in (weights.ready, weights.verify, weights.pull):
        with pytest.raises(WeightsError, match="sha256 starts"):
            use(spec)
    path.unlink()
    server.files["tiny.pth"] = b"something else"
    with pytest.raises(DownloadError, match="wrong content"):
        weights.pull(spec)


def test_without_a_published_checksum_a_file_put_there_needs_consent(home, row):
    spec = row(CONTENT, sha256=None, bytes=None)
    weights.path_of(spec).parent.mkdir(parents=True)
    weights.path_of(spec).write_bytes(CONTENT)
    for use in (weights.ready, weights.verify, weights.pull):
        with pytest.raises(WeightsError, match="--allow-unverified"):
            use(spec)
    weights.pull(spec, allow_unverified=True)
    assert weights.ready(spec) == weights.path_of(spec)


def test_without_a_published_checksum_parts_are_never_joined(home, row, server):
    spec = row(CONTENT, sha256=None, bytes=None)
    server.cuts = [100_000]
    assert weights.pull(spec, allow_unverified=True).read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, None]


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path, row, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("VIDRESTORE_HOME", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match=r"weights tiny\.pth: .*director"):
        weights.pull(row())


def test_threads_that_pull_at_once_download_once(home, row, server):
    spec = row(CONTENT)
    server.chunk_pause_s = 0.005
    paths: list[Path] = []
    threads = [threading.Thread(target=lambda: paths.append(weights.pull(spec))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert paths == [weights.path_of(spec)] * 4
    assert len(server.requests) == 1


PULL = """
import json, sys
from vidrestore.models.weights.store import pull
from vidrestore.models.zoo import ModelSpec
pull(ModelSpec(**json.loads(sys.argv[1])))
"""


def pulling(spec: ModelSpec) -> subprocess.Popen[bytes]:
    fields = {field: getattr(spec, field) for field in ModelSpec.__slots__} | {
        "hyperparameters": {}
    }
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(PULL), json.dumps(fields)])


def test_processes_that_pull_at_once_download_once(home, row, server):
    spec = row(CONTENT)
    server.chunk_pause_s = 0.02
    processes = [pulling(spec) for _ in range(2)]
    assert [process.wait(30) for process in processes] == [0, 0]
    assert len(server.requests) == 1


def test_a_killed_process_leaves_a_part_and_no_lock(home, row, server):
    spec: ModelSpec = row(CONTENT * 4)
    part = home / "weights" / "tiny.pth.part"
    server.chunk_pause_s = 0.05
    process = pulling(spec)
    while not (part.exists() and part.stat().st_size):
        assert process.poll() is None
    process.kill()
    process.wait(10)
    assert not weights.is_installed(spec)
    server.chunk_pause_s = 0.0
    assert weights.pull(spec).read_bytes() == CONTENT * 4
    assert server.requests[-1][1] is not None


def test_embedded_files_lie_in_the_package(home):
    for task in ("restorer", "detector"):
        (spec,) = zoo.find("embedded", task)
        assert weights.path_of(spec).parent == Path(weights.__file__).parents[1] / "embedded"


def test_a_lost_embedded_file_is_named(home):
    (spec,) = zoo.find("embedded", "restorer")
    lost = replace(spec, filename="lost.safetensors")
    assert not weights.is_installed(lost)
    for use in (weights.ready, weights.pull, weights.verify):
        with pytest.raises(WeightsError, match=r"lost\.safetensors: missing from the package"):
            use(lost)
