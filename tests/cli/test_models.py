"""`vidrestore models` says what there is, brings it, checks it, and fails in one line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vidrestore.cli import main
from vidrestore.cli.models import pull_if_named
from vidrestore.errors import WeightsError
from vidrestore.models import zoo
from vidrestore.models.weights import store as weights

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def table(home, row, monkeypatch):
    """A zoo of two models: one that the server has, one without a published checksum."""
    rows = (
        row(CONTENT),
        row(CONTENT, name="tiny-2.0", filename="two.pth", sha256=None, licence="ask first"),
        row(CONTENT, name="secret", hidden=True),
    )
    monkeypatch.setattr(zoo, "MODELS", rows)
    return rows


def test_list_shows_task_size_licence_and_what_is_installed(table, capsys):
    weights.pull(table[0])
    assert main(["models", "list"]) == 0
    header, first, second = capsys.readouterr().out.splitlines()
    assert header.split() == ["name", "task", "size", "installed", "licence"]
    assert first.split() == ["tiny-1.0", "restorer", "0.3", "MB", "yes", "CC0"]
    assert second.split() == ["tiny-2.0", "restorer", "0.3", "MB", "no", "ask", "first"]


def test_pull_shows_the_licence_and_where_the_file_is(table, capsys):
    assert main(["models", "pull", "tiny-1.0"]) == 0
    said = capsys.readouterr()
    assert "tiny-1.0: licence: CC0" in said.err
    assert said.out == f"tiny-1.0: ready at {weights.path_of(table[0])}\n"
    assert weights.path_of(table[0]).read_bytes() == CONTENT


def test_pull_of_an_unverified_model_needs_consent(table, capsys):
    assert main(["models", "pull", "tiny-2.0"]) == 1
    assert "--allow-unverified" in capsys.readouterr().err
    assert main(["models", "pull", "tiny-2.0", "--allow-unverified"]) == 0


def test_verify_finds_the_damaged_file(table, capsys):
    for spec in table[:2]:
        weights.pull(spec, allow_unverified=True)
    assert main(["models", "verify"]) == 0
    assert capsys.readouterr().out.count("right") == 2
    weights.path_of(table[1]).write_bytes(CONTENT[::-1])
    assert main(["models", "verify"]) == 1
    said = capsys.readouterr()
    assert said.out.startswith("tiny-1.0 (restorer): right")
    assert "two.pth: sha256 starts" in said.err
    assert main(["models", "verify", "tiny-1.0"]) == 0


def test_path_names_the_folder_or_the_file(table, home, capsys):
    assert main(["models", "path"]) == 0
    assert capsys.readouterr().out == f"{home / 'weights'}\n"
    assert main(["models", "path", "tiny-1.0"]) == 0
    assert capsys.readouterr().out == f"{home / 'weights' / 'tiny.pth'}\n"


@pytest.mark.parametrize("command", ["pull", "verify", "path"])
def test_an_unknown_name_is_one_line_with_the_nearest(table, command, capsys):
    assert main(["models", command, "tiny-1.1"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "unknown model 'tiny-1.1'; did you mean 'tiny-1.0'" in error


def test_offline_is_one_line(table, server, capsys):
    server.files.clear()
    assert main(["models", "pull", "tiny-1.0"]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("vidrestore: weights tiny.pth: no download (HTTP 404")
    assert f"put it at {weights.path_of(table[0])}" in last


def test_naming_a_model_to_another_command_pulls_it(table, server, capsys):
    pull_if_named("tiny-1.0", "restorer")
    assert weights.is_installed(table[0])
    assert "licence: CC0" in capsys.readouterr().err
    asked = len(server.requests)
    for name in ("tiny-1.0", "auto", "some/file.pth", "unknown"):
        pull_if_named(name, "restorer")
    assert len(server.requests) == asked
    with pytest.raises(WeightsError, match="--allow-unverified"):
        pull_if_named("tiny-2.0", "restorer")


def test_listing_does_not_load_torch(home):
    code = "import sys; from vidrestore.cli import main; main(['models', 'list']); "
    code += "sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
