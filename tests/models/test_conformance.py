"""What every restorer and every detector keeps to, ours and others': the two protocols' contracts.

A new implementation joins by a line in `RESTORERS` or `DETECTORS`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from onnx_files import write_onnx
from torch import Tensor, nn

import vidrestore
from vidrestore.landmarks import roll_degrees
from vidrestore.models import adapt_restorer, build, load_detector, load_onnx, load_restorer
from vidrestore.models.detectors.retinaface import RetinaFaceDetector, build_retinaface
from vidrestore.models.detectors.rotated import RotatedDetector
from vidrestore.models.interfaces import CropKey, FaceDetector, FaceRestorer, RestorerRun
from vidrestore.models.restorers.debug import DebugRestorer
from vidrestore.models.restorers.network import NetworkRestorer
from vidrestore.models.templates import landmark_template
from vidrestore.structs import Detections


class ToyRestorer:
    """A restorer by somebody else: the mirror image, and a count of the run in a corner."""

    name = "toy"
    size = 32
    template = landmark_template("ffhq", 32)

    def start_run(self, *, noise: str = "fixed", style_strength: float = 0.0) -> ToyRun:
        return ToyRun()

    def __call__(self, crops: Tensor) -> Tensor:
        return self.start_run()(crops)


class ToyRun:
    name, size, template, batch_size = "toy", 32, ToyRestorer.template, 1

    def __init__(self) -> None:
        self.notes: list[str] = []

    def __call__(self, crops: Tensor, keys: Sequence[CropKey] = ()) -> Tensor:
        valid = torch.isfinite(crops).flatten(1).all(1).view(-1, 1, 1, 1)
        return torch.where(valid, crops.float().flip(3), torch.nan)


def _gfpgan(tmp_path: Path) -> FaceRestorer:
    """With style codes and with noise that shows."""
    torch.manual_seed(0)
    network = build("gfpgan_clean", out_size=32, narrow=0.1)
    with torch.no_grad():
        for layer in (network.stylegan_decoder.style_conv1, *network.stylegan_decoder.style_convs):
            layer.weight.fill_(0.5)
    return NetworkRestorer(network, name="gfpgan", size=32, batch_size=2, precision="float32")


def _module(tmp_path: Path) -> FaceRestorer:
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Dropout(), nn.Conv2d(8, 3, 1))
    return adapt_restorer(
        nn.Sequential(*layers),
        size=32,
        template="ffhq",
        value_range=(0, 255),
        channels="bgr",
        batch_size=2,
    )


RESTORERS: dict[str, Callable[[Path], FaceRestorer]] = {
    "embedded": lambda tmp_path: load_restorer("embedded", device="cpu", precision="float32"),
    "debug": lambda tmp_path: DebugRestorer(size=32),
    "gfpgan": _gfpgan,
    "module": _module,
    "callable": lambda tmp_path: adapt_restorer(lambda x: x**2, size=32, template="gpen"),
    "onnx": lambda tmp_path: load_onnx(
        write_onnx(tmp_path / "a.onnx"), template="ffhq", value_range=(-1, 1), batch_size=3
    ),
    "onnx of one crop": lambda tmp_path: load_onnx(
        write_onnx(tmp_path / "b.onnx", shape=(1, 3, 32, 32), white=1, is_float16=True),
        template="ffhq",
        value_range=(0, 1),
    ),
    "toy": lambda tmp_path: ToyRestorer(),
}


@pytest.fixture(scope="module", params=RESTORERS)
def restorer(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> FaceRestorer:
    return RESTORERS[request.param](tmp_path_factory.mktemp("restorer"))


def crops_of(restorer: FaceRestorer, n: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, 3, restorer.size, restorer.size, generator=generator)


def restore_video(run: RestorerRun, crops: Tensor) -> Tensor:
    """A crop a call, of two people in turn."""
    parts = [
        run(crop[None], [CropKey(0, number % 2, number // 2)]) for number, crop in enumerate(crops)
    ]
    return torch.cat(parts)


def assert_same(found: Tensor, wanted: Tensor) -> None:
    """Equal but for rounding, which may depend on a crop's place in its batch."""
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0)


def test_a_restorer_says_what_it_is(restorer: FaceRestorer) -> None:
    assert isinstance(restorer, FaceRestorer) and restorer.name
    assert restorer.template.shape == (5, 2) and restorer.template.dtype == np.float64
    assert restorer.template.min() >= 0 and restorer.template.max() < restorer.size
    run = restorer.start_run()
    assert isinstance(run, RestorerRun)
    assert (run.name, run.size) == (restorer.name, restorer.size)
    assert np.array_equal(run.template, restorer.template)
    assert run.batch_size >= 1 and run.notes == []


def test_crops_come_back_in_shape_order_and_range(restorer: FaceRestorer) -> None:
    crops = crops_of(restorer, 3)
    given = crops.clone()
    restored = restorer(crops)
    assert torch.equal(crops, given), "the input was changed"
    assert restored.shape == crops.shape and restored.dtype == torch.float32
    assert restored.device == crops.device
    assert restored.min() >= 0 and restored.max() <= 1
    assert_same(restorer(crops.flip(0)), restored.flip(0))
    assert not torch.equal(restored[0], restored[1])
    assert restorer(crops[:0]).shape == (0, 3, restorer.size, restorer.size)


def test_a_crop_is_restored_the_same_in_any_company(restorer: FaceRestorer) -> None:
    crops = crops_of(restorer, 3)
    alone = torch.cat([restorer(crop[None]) for crop in crops])
    assert_same(restorer(crops), alone)


def test_a_crop_without_valid_answer_is_nan_throughout(restorer: FaceRestorer) -> None:
    crops = crops_of(restorer, 3)
    wanted = restorer(crops)
    crops[1, 0, 5, 5] = torch.nan
    restored = restorer(crops)
    assert restored[1].isnan().all()
    assert torch.equal(restored[[0, 2]], wanted[[0, 2]])


@pytest.mark.parametrize("noise", ["fixed", "fresh"])
def test_a_run_does_not_depend_on_those_before(restorer: FaceRestorer, noise: str) -> None:
    crops, others = crops_of(restorer, 4), crops_of(restorer, 4, seed=1)
    first = restore_video(restorer.start_run(noise=noise, style_strength=0.9), crops)
    restore_video(restorer.start_run(noise=noise, style_strength=0.9), others)
    again = restore_video(restorer.start_run(noise=noise, style_strength=0.9), crops)
    assert torch.equal(first, again)


def test_runs_at_the_same_time_do_not_meet(restorer: FaceRestorer) -> None:
    videos = [crops_of(restorer, 4, seed) for seed in (0, 1)]
    settings = {"noise": "fresh", "style_strength": 0.9}
    alone = [restore_video(restorer.start_run(**settings), video) for video in videos]
    turn, found = threading.Barrier(2, timeout=60), {}

    def restore(number: int) -> None:
        run, parts = restorer.start_run(**settings), []
        for place, crop in enumerate(videos[number]):
            turn.wait()
            parts.append(run(crop[None], [CropKey(0, place % 2, place // 2)]))
        found[number] = torch.cat(parts)

    threads = [threading.Thread(target=restore, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(found[number], alone[number]) for number in (0, 1))


def test_the_gfpgan_of_these_tests_has_styles_and_noise(tmp_path: Path) -> None:
    restorer = _gfpgan(tmp_path)
    crops = crops_of(restorer, 4)
    plain = restore_video(restorer.start_run(), crops)
    assert not torch.equal(restore_video(restorer.start_run(noise="fresh"), crops), plain)
    assert not torch.equal(restore_video(restorer.start_run(style_strength=0.9), crops), plain)


class ToyDetector:
    """A detector by somebody else: the bright rectangle of a picture is a face."""

    name = "toy"

    def __call__(
        self,
        images: Tensor,
        *,
        min_score: float | None = None,
        max_roll_degrees: float | None = None,
    ) -> list[Detections]:
        least = 0.5 if min_score is None else min_score
        return [self._find(image.mean(0), least) for image in images]

    def _find(self, image: Tensor, min_score: float) -> Detections:
        y, x = (image > 0.8).nonzero(as_tuple=True)
        score = float(image.max())
        n = int(len(x) > 0 and score >= min_score)
        box = [[x.min(), y.min(), x.max(), y.max()]] if n else []
        boxes = np.array(box, np.float32).reshape(-1, 4)
        share = landmark_template("ffhq", 512) / 512
        points = boxes[:, None, :2] + share * (boxes[:, None, 2:] - boxes[:, None, :2])
        return Detections(boxes, points.astype(np.float32), np.full(n, score, np.float32))


def _retinaface() -> FaceDetector:
    torch.manual_seed(0)
    network = build_retinaface("mobile0.25")
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.startswith("ClassHead"):
                weight.mul_(30)  # Scores of random weights all lie at one half otherwise.
    return RetinaFaceDetector(network, score_threshold=0.3)


DETECTORS: dict[str, Callable[[], FaceDetector]] = {
    "embedded": lambda: load_detector("embedded", device="cpu"),
    "retinaface": _retinaface,
    "rotated": lambda: RotatedDetector(load_detector("embedded", device="cpu")),
    "toy": ToyDetector,
}


@pytest.fixture(scope="module", params=DETECTORS)
def detector(request: pytest.FixtureRequest) -> FaceDetector:
    return DETECTORS[request.param]()


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    """A portrait upright, and leaning by 40 degrees."""
    path = Path(vidrestore.__file__).parent / "demo" / "astronaut.png"
    upright = cv2.resize(cv2.imread(str(path))[..., ::-1], (192, 192), interpolation=cv2.INTER_AREA)
    turn = cv2.getRotationMatrix2D((95.5, 95.5), 40, 1)
    both = np.stack([upright, cv2.warpAffine(upright, turn, (192, 192))])
    return torch.from_numpy(both).permute(0, 3, 1, 2).contiguous().float() / 255


def check(found: Detections, least: float = 0.0) -> None:
    assert found.boxes_xyxy.dtype == found.landmarks.dtype == found.scores.dtype == np.float32
    assert (np.diff(found.scores) <= 0).all(), "not the best first"
    assert ((found.scores >= least) & (found.scores <= 1)).all()
    assert np.isfinite(found.boxes_xyxy).all() and np.isfinite(found.landmarks).all()
    assert (found.boxes_xyxy[:, 2:] >= found.boxes_xyxy[:, :2]).all()


def test_a_detector_answers_each_picture(detector: FaceDetector, pictures: Tensor) -> None:
    assert isinstance(detector, FaceDetector) and detector.name
    given = pictures.clone()
    found = detector(pictures)
    assert torch.equal(pictures, given), "the input was changed"
    assert len(found) == 2 and len(found[0]) >= 1
    for one, picture in zip(found, pictures, strict=True):
        check(one)
        [alone] = detector(picture[None])
        np.testing.assert_allclose(one.boxes_xyxy, alone.boxes_xyxy, atol=0.01)
        np.testing.assert_allclose(one.landmarks, alone.landmarks, atol=0.01)
        np.testing.assert_allclose(one.scores, alone.scores, atol=1e-4)


def test_scores_reach_what_is_asked(detector: FaceDetector, pictures: Tensor) -> None:
    counts = []
    for least in (0.3, 0.6, 0.9, 1.0):
        found = detector(pictures, min_score=least)
        for one in found:
            check(one, least)
        counts.append(sum(map(len, found)))
    assert counts == sorted(counts, reverse=True) and counts[0] > 0


def test_heads_lean_no_further_than_is_asked(detector: FaceDetector, pictures: Tensor) -> None:
    counts = []
    for most in (60.0, 20.0, 1.0):
        found = detector(pictures, max_roll_degrees=most)
        assert all((np.abs(roll_degrees(one.landmarks)) <= most).all() for one in found)
        counts.append(sum(map(len, found)))
    assert counts == sorted(counts, reverse=True)


def test_an_empty_picture_has_no_faces(detector: FaceDetector) -> None:
    [found] = detector(torch.full((1, 3, 64, 64), 0.5), min_score=0.8)
    check(found, 0.8)
    assert len(found) == 0
