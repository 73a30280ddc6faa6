"""Comparing restorers on pictures, and the report of it."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from clips import face_frames, write_clip
from labelled_faces import write_faces

from vidrestore.cli import main
from vidrestore.errors import DataError, UsageError
from vidrestore.evaluation.faces import find_faces
from vidrestore.evaluation.page import contact_sheet, render_page, write_report
from vidrestore.evaluation.pictures import compare_pictures
from vidrestore.evaluation.restoring import restore_faces
from vidrestore.evaluation.results import Comparison
from vidrestore.models.interfaces import CropKey, FaceDetector
from vidrestore.models.load import load_detector
from vidrestore.models.nets.mobilefacenet import MobileFaceNet
from vidrestore.models.templates import landmark_template

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")
MEASURES = ("psnr_db", "ssim", "identity", "identity_deg", "sharpness")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _empty_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDRESTORE_HOME", str(home))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("faces"), {"val": 4, "train": 1})


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedding with drawn weights; nothing here depends on them."""
    path = tmp_path_factory.mktemp("weights") / "mobilefacenet.pt"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(MobileFaceNet().state_dict(), path)
    return path


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return load_detector("embedded", device="cpu")


@pytest.fixture(scope="module")
def found(data: Path, identity: Path, home: Path) -> Comparison:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDRESTORE_HOME", str(home))
        return compare_pictures(
            ["debug", "input"],
            data,
            identity=identity,
            samples=2,
            device="cpu",
        )


def test_every_picture_and_model_has_a_row(found: Comparison) -> None:
    assert [(row.item, row.model) for row in found.rows] == [
        (f"val_{index}.png", model) for index in range(4) for model in ("input", "debug")
    ]
    for row in found.rows:
        assert row.values.keys() - {"niqe"} == {*MEASURES, "lmd", "lmd_px"}
        assert all(np.isfinite(row.values[name]) for name in MEASURES)
        angle = np.degrees(np.arccos(row.values["identity"]))
        assert row.values["identity_deg"] == pytest.approx(angle, abs=0.05)


def test_what_is_missing_is_named(found: Comparison) -> None:
    assert found.not_available.keys() - {"niqe"} == {"arcface_deg", "lpips", "lpips_vgg", "fid"}
    assert "arcface_resnet18.pth, https://" in found.not_available["arcface_deg"]
    assert "alexnet-owt-7be5be79.pth, https://" in found.not_available["lpips"]
    assert found.header["not_available"] == found.not_available


def test_the_same_command_gives_the_same_results(
    data: Path, identity: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(out: str, *more: str) -> bytes:
        command = ["evaluate", "--model", "debug", "--data", str(data), "--limit", "2"]
        command += ["--identity", str(identity), "--metrics", "psnr_db,identity", *more]
        assert main([*command, "--out", str(tmp_path / out)]) == 0
        return (tmp_path / out / "results.jsonl").read_bytes()

    once = run("one")
    assert run("again") == once
    assert run("other", "--seed", "1") != once
    assert "PSNR, dB" in capsys.readouterr().out
    header = json.loads(once.splitlines()[0])
    assert header["protocol"]["name"] == "blind"
    assert header["seed"] == 0
    assert header["weights"] == [{"name": "debug", "sha256": None}]
    assert header["versions"]["torch"] == torch.__version__
    assert {p.name for p in (tmp_path / "one").iterdir()} == {
        "index.html",
        "summary.json",
        "results.jsonl",
        "contact_sheet.jpg",
    }


def test_a_limit_changes_no_picture(found: Comparison, data: Path, identity: Path) -> None:
    fewer = compare_pictures(["input"], data, metrics=["psnr_db"], limit=2, samples=1, device="cpu")
    all_of_them = {row.item: row.values for row in found.rows if row.model == "input"}
    assert [row.item for row in fewer.rows] == ["val_0.png", "val_3.png"]
    for row in fewer.rows:
        assert row.values["psnr_db"] == pytest.approx(all_of_them[row.item]["psnr_db"], abs=1e-4)


def test_untouched_faces_are_perfect(data: Path, identity: Path) -> None:
    same = compare_pictures(
        ["input"], data, protocol="none", metrics=MEASURES, identity=identity, limit=1,
        samples=1, device="cpu",
    )  # fmt: skip
    values = same.rows[0].values
    assert values["psnr_db"] == 100
    assert values["ssim"] == pytest.approx(1, abs=1e-4)
    assert values["identity"] == pytest.approx(1, abs=1e-4)
    assert values["sharpness"] == 1


def test_mistakes_are_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no picture with a usable face"):
        compare_pictures(["input"], data, split="test", device="cpu")
    with pytest.raises(UsageError, match="each model once"):
        compare_pictures(["debug", "debug"], data, device="cpu")
    assert main(["evaluate", "--data", str(data)]) == 2
    assert main(["evaluate", "--model", "debug"]) == 2
    assert main(["evaluate", "--model", "debug", "--data", str(tmp_path)]) == 1
    assert main(["evaluate", "detector", "--help"]) == 0


def test_options_without_effect_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = str(write_clip(tmp_path / "a.mp4", face_frames(2)))
    own = ["evaluate", "--model", "input", "--pair", clip, clip]
    for given in (["--degrade", "sr4"], ["--limit", "2"], ["--split", "all"]):
        assert main([*own, *given]) == 2
        assert f"{given[0]}: needs the --data" in capsys.readouterr().err
    assert main(["evaluate", "--model", "input", "detector", clip]) == 2
    assert "--model: is not for `evaluate detector`" in capsys.readouterr().err


def test_pictures_and_videos_of_one_folder_are_both_measured(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(data, tmp_path / "both")
    write_clip(tmp_path / "both" / "clip.mp4", face_frames(3))
    command = ["evaluate", "--model", "input", "--data", str(tmp_path / "both")]
    assert main([*command, "--degrade", "none", "--metrics", "psnr_db"]) == 0
    told = capsys.readouterr().out
    assert "4 pictures" in told and "1 videos" in told


def test_what_was_measured_without_labels_is_no_split(data: Path, tmp_path: Path) -> None:
    """Labels count that lie in the folder above; without any, no split is claimed."""
    inner = tmp_path / "512"
    shutil.copytree(data, inner)
    labels = (inner / "labels.csv").read_text().replace("val_", "512/val_")
    (inner / "labels.csv").unlink()
    told: dict[str, object] = {"protocol": "none", "metrics": ["psnr_db"], "device": "cpu"}
    bare = compare_pictures(["input"], inner, **told)
    assert bare.header["split"] == "all (no labels.csv)" and bare.header["faces"] == 5
    (tmp_path / "labels.csv").write_text(labels)
    split = compare_pictures(["input"], inner, **told)
    assert split.header["split"] == "val" and split.header["faces"] == 4


class Page(HTMLParser):
    """Collects addresses and text; checks that tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_whole_in_itself(found: Comparison, tmp_path: Path) -> None:
    html = write_report(tmp_path, [found]).read_text()
    page = Page()
    page.feed(html)
    assert page.open == []
    assert len(page.addresses) == 2 * 3 + 6  # two samples of three tiles, six plots
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert not re.search(r"url\(|@import|<script|<link", html)
    for model in ("input", "debug", "truth"):
        assert model in page.text
    for measure in found.measures.values():
        assert measure.title in page.text
    assert "alexnet-owt-7be5be79.pth" in page.text
    assert 'name="viewport"' in html
    for address in page.addresses:
        data = np.frombuffer(base64.b64decode(address.partition(",")[2]), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert image is not None
        assert image.std() > 5


def test_names_in_the_page_are_escaped(found: Comparison) -> None:
    sample = found.samples[0]
    renamed = type(sample)("<script>alert(1)</script>", sample.tiles)
    without_plots = replace(found, models=(), rows=found.rows[::2])
    html = render_page([without_plots.with_samples([renamed], "one & all")])
    assert "<script>" not in html
    assert "one &amp; all" in html


def test_the_contact_sheet_shows_hard_and_easy_ones(data: Path) -> None:
    found = compare_pictures(["debug"], data, metrics=["psnr_db"], samples=2, device="cpu")
    inputs = {row.item: row.values["psnr_db"] for row in found.rows if row.model == "input"}
    assert len(set(inputs.values())) == 4
    ranked = sorted(inputs, key=lambda item: inputs[item])
    assert [sample.item for sample in found.samples] == [ranked[0], ranked[-1]]
    assert [tile.model for tile in found.samples[0].tiles] == ["input", "debug", "truth"]
    sheet = contact_sheet(found.samples)
    assert sheet.shape == (28 + 2 * 260, 3 * 256, 3)
    truth = cv2.resize(found.samples[0].tiles[2].image, (256, 256), interpolation=cv2.INTER_AREA)
    assert np.array_equal(sheet[28 : 28 + 256, 512:], truth)


def test_faces_without_labels_are_cut_out(tmp_path: Path, detector: FaceDetector) -> None:
    write_faces(tmp_path, {"val": 1})
    (tmp_path / "labels.csv").unlink()
    aligned = cv2.imread(str(tmp_path / "val_0.png"))
    large = cv2.copyMakeBorder(aligned, 90, 60, 130, 40, cv2.BORDER_REFLECT_101)
    cv2.imwrite(str(tmp_path / "wide.png"), cv2.resize(large, None, fx=1.7, fy=1.7))
    cv2.imwrite(str(tmp_path / "tiny.png"), cv2.resize(large, (96, 96)))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    faces = find_faces(tmp_path, detector=detector)
    assert [face.name for face in faces] == ["val_0.png", "wide.png"]
    for face in faces:
        assert face.read_truth().shape == (512, 512, 3)
    distance = np.abs(faces[1].landmarks - landmark_template("ffhq", 512)).mean()
    assert distance < 12
    assert np.array_equal(faces[0].read_truth(), np.float32(aligned[..., ::-1]) / np.float32(255))


class Lightener:
    """A restorer that adds a constant."""

    name, batch_size = "lightener", 1

    def __init__(self, amount: float, template: str, size: int) -> None:
        self.amount, self.size, self.notes = amount, size, []
        self.template = landmark_template(template, size)
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, crops: torch.Tensor, keys: Sequence[CropKey] = ()) -> torch.Tensor:
        self.shapes.append(tuple(crops.shape))
        return crops + self.amount


@pytest.mark.parametrize(("template", "size"), [("ffhq", 512), ("gpen", 256), ("gpen", 512)])
def test_restorers_see_their_own_crops(template: str, size: int) -> None:
    coarse = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    faces = torch.nn.functional.interpolate(coarse, size=(512, 512), mode="bilinear") * 0.8
    restorer = Lightener(0.1, template, size)
    restored = restore_faces(restorer, faces)
    assert set(restorer.shapes) == {(2, 3, size, size)}
    assert (restored - faces)[..., 40:-40, 40:-40].mean() == pytest.approx(0.1, abs=2e-3)
    assert (restored - faces - 0.1)[..., 40:-40, 40:-40].abs().mean() < 0.01


def test_a_face_without_an_answer_stays() -> None:
    faces = torch.rand(2, 3, 512, 512)

    class Failing(Lightener):
        def __call__(self, crops: torch.Tensor, keys: Sequence[CropKey] = ()) -> torch.Tensor:
            answer = super().__call__(crops)
            answer[1] = torch.nan
            return answer

    restored = restore_faces(Failing(0.1, "ffhq", 512), faces)
    assert torch.equal(restored[1], faces[1])
    assert torch.equal(restored[0], faces[0] + 0.1)


def test_the_input_alone_can_be_measured(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "--model", "input", "--data", str(data), "--metrics", "psnr_db"]
    assert main([*command, "--out", str(tmp_path / "report")]) == 0
    assert "PSNR" in capsys.readouterr().out
    assert (tmp_path / "report" / "index.html").is_file()


def test_a_bad_picture_does_not_change_what_the_others_are_given(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_faces(tmp_path, {"val": 4})
    detector = load_detector("embedded", device="cpu")
    whole = {face.name: face.index for face in find_faces(tmp_path, detector=detector)}
    cv2.imwrite(str(tmp_path / "val_1.png"), np.zeros((100, 100, 3), np.uint8))
    left = {face.name: face.index for face in find_faces(tmp_path, detector=detector)}
    assert left == {name: index for name, index in whole.items() if name != "val_1.png"}
    assert "val_1.png (100x100)" in caplog.text


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_labels_of_spreadsheets(encoding: str, tmp_path: Path) -> None:
    """A byte order mark is read over; another encoding is named."""
    write_faces(tmp_path, {"val": 1})
    labels = tmp_path / "labels.csv"
    labels.write_text(labels.read_text(encoding="utf-8"), encoding=encoding)
    detector = load_detector("embedded", device="cpu")
    if encoding == "utf-8-sig":
        assert len(find_faces(tmp_path, detector=detector)) == 1
        return
    with pytest.raises(DataError, match=r"labels\.csv.*UTF-8"):
        find_faces(tmp_path, detector=detector)
