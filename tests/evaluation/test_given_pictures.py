"""Pictures as pairs, pictures that FID compares with, sources, and what a person is told."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from clips import face_frames, write_clip
from labelled_faces import write_faces
from torch import Tensor, nn

from vidrestore.cli import main, progress
from vidrestore.errors import DataError, NotAvailableError
from vidrestore.evaluation import meter
from vidrestore.evaluation.page import render_page
from vidrestore.evaluation.pictures import compare_pictures
from vidrestore.evaluation.results import summarise, table_lines
from vidrestore.metrics.fid import FrechetDistance
from vidrestore.models.nets.arcface_resnet18 import ArcFaceResNet18

PSNR_ALONE = ["--metrics", "psnr_db", "--device", "cpu"]


@pytest.fixture(autouse=True)
def _empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDRESTORE_HOME", str(tmp_path / "home"))


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    (tmp_path / "truth").mkdir()
    return write_faces(tmp_path / "truth", {"val": 2, "train": 1})


@pytest.fixture
def degraded(truth: Path, tmp_path: Path) -> Path:
    """The same pictures, blurred, as JPEG."""
    folder = tmp_path / "degraded"
    folder.mkdir()
    for path in truth.glob("*.png"):
        blurred = cv2.GaussianBlur(cv2.imread(str(path)), (0, 0), 3)
        cv2.imwrite(str(folder / f"{path.stem}.jpg"), blurred)
    return folder


def test_folders_of_pictures_are_pairs(
    truth: Path, degraded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    command = ["evaluate", "--model", "debug", "--pair", str(truth), str(degraded), *PSNR_ALONE]
    assert main([*command, "--out", str(tmp_path / "report")]) == 0
    assert "3 pictures, protocol pairs" in capsys.readouterr().out
    lines = (tmp_path / "report" / "results.jsonl").read_text().splitlines()
    header, *rows = map(json.loads, lines)
    assert (header["data"], header["degraded"]) == ("truth", "degraded")
    names = ["val_0.png", "val_1.png", "train_0.png"]
    assert [row["item"] for row in rows if row["model"] == "input"] == names
    for row in rows[::2]:
        true = cv2.imread(str(truth / row["item"])) @ (0.114, 0.587, 0.299)
        given = cv2.imread(str(degraded / row["item"].replace("png", "jpg"))) @ (
            0.114, 0.587, 0.299,
        )  # fmt: skip
        expected = -10 * np.log10(np.square((given - true) / 255).mean())
        assert row["psnr_db"] == pytest.approx(expected, abs=0.01)


def test_pictures_without_a_partner_are_named(
    truth: Path, degraded: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (degraded / "val_1.jpg").rename(degraded / "other.jpg")
    (degraded / "train_0.jpg").write_bytes(b"no picture")
    found = compare_pictures(
        ["input"], truth, degraded=degraded, split="all", metrics=["ssim"], device="cpu"
    )
    assert [row.item for row in found.rows] == ["val_0.png"]
    for words in ("left out: val_1.png", "left out: other.jpg", "train_0.jpg"):
        assert words in caplog.text


def test_pairs_that_cannot_be_compared(
    truth: Path, degraded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def compare() -> None:
        compare_pictures(["input"], truth, degraded=degraded, split="all", device="cpu")

    small = cv2.resize(cv2.imread(str(degraded / "val_0.jpg")), (128, 128))
    cv2.imwrite(str(degraded / "val_0.jpg"), small)
    with pytest.raises(DataError, match=r"val_0\.jpg: 128x128, its truth is 512x512"):
        compare()
    cv2.imwrite(str(degraded / "val_0.png"), small)
    with pytest.raises(DataError, match="have one name"):
        compare()
    for path in degraded.iterdir():
        path.unlink()
    with pytest.raises(DataError, match="no face has a partner"):
        compare()
    clip = write_clip(tmp_path / "a.mp4", face_frames(1))
    assert main(["evaluate", "--model", "input", "--pair", str(truth), str(clip)]) == 2
    assert "one is a folder, the other a file" in capsys.readouterr().err


def test_a_metric_asked_for_by_name_is_there_or_an_error(
    truth: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "--model", "input", "--data", str(truth)]
    assert main([*command, "--metrics", "psnr_db,fid,lpips"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    for name in (
        "fid",
        "pt_inception-2015-12-05-6726825d.pth",
        "lpips",
        "alexnet-owt-7be5be79.pth",
    ):
        assert name in told.err
    assert told.err.count("https://") == 2 and "psnr_db" not in told.err
    clip = str(truth / "a.mp4")
    write_clip(Path(clip), face_frames(2))
    assert (
        main(["evaluate", "--model", "input", "--pair", clip, clip, "--metrics", "identity"]) == 1
    )
    assert "mobilefacenet.pt, https://" in capsys.readouterr().err


class MeanColours(nn.Module):
    """Stands for Inception: features that can be reckoned by hand."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3)).double()


def test_fid_compares_with_a_folder(
    truth: Path, degraded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "_fid", lambda device: FrechetDistance(MeanColours()))
    wanted = {"degraded": degraded, "split": "all", "metrics": ["fid"], "device": "cpu"}
    own = compare_pictures(["input"], truth, **wanted)
    assert own.sets["input"]["fid"] == pytest.approx(0, abs=1e-3)
    bright = tmp_path / "bright"
    bright.mkdir()
    for index in range(3):
        cv2.imwrite(str(bright / f"{index}.png"), np.full((40, 30, 3), 255, np.uint8))
    found = compare_pictures(["input"], truth, fid_reference=bright, **wanted)
    pictures = np.stack([cv2.imread(str(path)) for path in degraded.iterdir()]) / 255.0
    colours = pictures.mean((1, 2))
    expected = np.square(colours.mean(0) - 1).sum() + np.trace(np.cov(colours.T))
    assert found.sets["input"]["fid"] == pytest.approx(expected, rel=1e-3)
    assert found.header["fid_reference"] == {"data": "bright", "pictures": 3}


def test_a_reference_is_used_or_refused(
    truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "--model", "input", "--data", str(truth), "--fid-reference", str(truth)]
    assert main([*command, *PSNR_ALONE]) == 2
    assert "--fid-reference" in capsys.readouterr().err
    assert main(command) == 1
    assert "pt_inception" in capsys.readouterr().err
    clip = str(write_clip(tmp_path / "a.mp4", face_frames(2)))
    videos = ["evaluate", "--model", "input", "--pair", clip, clip]
    assert main([*videos, "--fid-reference", str(truth)]) == 2
    assert "--fid-reference: is for pictures" in capsys.readouterr().err


def test_arcface_measures_identity_where_it_is(truth: Path, degraded: Path, tmp_path: Path) -> None:
    weights = tmp_path / "arcface_resnet18.pth"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = ArcFaceResNet18().eval()
    torch.save(network.state_dict(), weights)
    wanted = {"split": "all", "metrics": ["arcface_deg"], "arcface": weights, "device": "cpu"}
    same = compare_pictures(["input"], truth, protocol="none", **wanted)
    assert max(row.values["arcface_deg"] for row in same.rows) < 0.1
    found = compare_pictures(["input"], truth, degraded=degraded, **wanted)
    assert all(0.1 < row.values["arcface_deg"] < 90 for row in found.rows)
    with pytest.raises(NotAvailableError, match=r"arcface_resnet18\.pth"):
        compare_pictures(["input"], truth, **(wanted | {"arcface": None}))


def test_each_source_has_its_own_means(truth: Path) -> None:
    labels = truth / "labels.csv"
    text = labels.read_text()
    labels.write_text(text.replace("val_0.png,portrait", "val_0.png,drawn"))
    found = compare_pictures(
        ["debug"], truth, split="all", metrics=["psnr_db"], samples=1, device="cpu"
    )
    summary = summarise(found)
    assert summary["items"]["source drawn"] == 1 and summary["items"]["source portrait"] == 2
    values = {row.item: row.values["psnr_db"] for row in found.rows if row.model == "debug"}
    means = {group: of["mean"]["psnr_db"] for group, of in summary["models"]["debug"].items()}
    assert means["source drawn"] == pytest.approx(values["val_0.png"], abs=1e-5)
    others = (values["val_1.png"] + values["train_0.png"]) / 2
    assert means["source portrait"] == pytest.approx(others, abs=1e-5)
    assert any(line.startswith("  source portrait (2)") for line in table_lines(found, summary))
    if pytest.importorskip("jinja2") and pytest.importorskip("matplotlib"):
        page = render_page([found])
        assert "source drawn (1)" in page
        assert len(re.findall(r"source drawn, (?:hardest|middle|easiest) \(1\)", page)) == 1


def test_without_a_terminal_lines_tell_how_far_it_is(
    truth: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "--model", "input", "--data", str(truth), "--split", "all"]
    assert main([*command, *PSNR_ALONE]) == 0
    told = capfd.readouterr()
    assert "pictures measured: 3 of 3" in told.err.splitlines()
    assert "measured:" not in told.out


def test_long_work_says_so_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    report = progress._work_lines()
    for frame in range(25):
        now = float(frame)
        report("nod: frames measured", frame + 1, None)
    report("nod: frames measured", 26, 26)
    lines = capsys.readouterr().err.splitlines()
    assert [int(line.split()[3]) for line in lines] == [1, 11, 21, 26]
    assert lines[-1].endswith("26 of 26")
