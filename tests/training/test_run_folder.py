"""A training writes into no folder whose files are not its own, and says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from labelled_faces import write_faces
from tiny_training import SIZE, tiny_config

from vidrestore.errors import DataError
from vidrestore.training.checkpoint import read_checkpoint
from vidrestore.training.train import train
from vidrestore.training.training_run import TrainingProgress


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("data"), {"train": 3, "val": 1}, size=SIZE)


def compact(**changes: Any) -> Any:
    stages = [{"images": 4, "batch_size": 2, "window": 16, **changes}]
    return tiny_config("compact_generator", stages=stages)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def stopped(data: Path, tmp_path: Path) -> Path:
    """The folder of a training that was stopped before its first checkpoint."""

    def stop(progress: TrainingProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(compact(), data, tmp_path / "run", progress=stop)
    assert {"config.yaml"} <= contents(tmp_path / "run").keys()
    assert not (tmp_path / "run" / "last.pt").exists()
    return tmp_path / "run"


def test_a_stopped_training_is_not_begun_over_in_silence(data: Path, stopped: Path) -> None:
    before = contents(stopped)
    with pytest.raises(DataError, match=r"config\.yaml but no checkpoint.*--resume.*move it away"):
        train(compact(), data, stopped)
    with pytest.raises(DataError, match=r"config\.yaml but no checkpoint"):
        train(compact(learning_rate=1e-4), data, stopped, resume=True)
    assert contents(stopped) == before


def test_resuming_it_with_the_same_configuration_begins_it_anew(
    data: Path, stopped: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert read_checkpoint(train(compact(), data, stopped, resume=True)).images == 4
    assert "begins anew" in caplog.text


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("config.yaml", "move it away, or name another folder"),
        ("log.jsonl", "move it away, or name another folder"),
        ("events.out.tfevents.1.a", "move it away, or name another folder"),
        ("best.pt", r"copy it to last\.pt"),
        ("stage-1.pt", r"copy it to last\.pt"),
    ],
)
def test_other_peoples_files_stay(
    data: Path, tmp_path: Path, name: str, words: str, resume: bool
) -> None:
    (tmp_path / name).write_bytes(b"work of weeks")
    with pytest.raises(DataError, match=words):
        train(compact(), data, tmp_path, resume=resume)
    assert contents(tmp_path) == {name: b"work of weeks"}


def test_files_of_other_names_are_nobodys_trouble(data: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"mine")
    assert train(compact(), data, tmp_path).exists()
    assert (tmp_path / "notes.txt").read_bytes() == b"mine"


def test_training_goes_on_from_a_copy_of_the_best(data: Path, tmp_path: Path) -> None:
    train(compact(), data, tmp_path, stop_at_step=1)
    (tmp_path / "last.pt").rename(tmp_path / "best.pt")
    with pytest.raises(DataError, match=r"best\.pt but no last\.pt"):
        train(compact(), data, tmp_path, resume=True)
    (tmp_path / "last.pt").write_bytes((tmp_path / "best.pt").read_bytes())
    assert read_checkpoint(train(compact(), data, tmp_path, resume=True)).images == 4
