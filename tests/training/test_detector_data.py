"""Made-up scenes: repeatable, with labels that lie where the faces lie."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from labelled_faces import POINTS as LANDMARKS

from vidrestore.errors import VideoWriteError
from vidrestore.geometry import ellipse_box
from vidrestore.training.detector_data import (
    BANK_PX,
    MAX_FACES,
    FaceBank,
    Scene,
    SceneComposer,
    assign_targets,
    augment_image,
    build_face_bank,
    draw_hand,
    is_kept_from,
    light_from_side,
    load_textures,
    person_matte,
    rotate_scene,
)
from vidrestore.training.detector_data.bank_parts import FIELDS
from vidrestore.training.detector_data.face_bank import YAWS
from vidrestore.training.detector_data.paste import warp_face

BOX = np.array([70, 60, 186, 216], np.float32)
POINTS = np.array([[100, 120], [156, 120], [128, 155], [105, 185], [151, 185]], np.float32)


def marked_bank() -> FaceBank:
    """A grey picture with a pure-coloured spot at every landmark."""
    picture = np.full((BANK_PX, BANK_PX, 3), 128, np.uint8)
    for x, y in POINTS:
        cv2.circle(picture, (int(x), int(y)), 8, (255, 255, 255), -1)
    matte = np.full((BANK_PX, BANK_PX), 255, np.uint8)
    return FaceBank(picture[None], matte[None], BOX[None], POINTS[None])


def test_a_seed_makes_one_scene() -> None:
    composer = SceneComposer(marked_bank(), [], size_px=192)
    one, two = (composer.compose(np.random.default_rng([3, 5])) for _ in range(2))
    other = composer.compose(np.random.default_rng([3, 6]))
    assert np.array_equal(one.picture, two.picture)
    assert np.array_equal(one.landmarks, two.landmarks)
    assert not np.array_equal(one.picture, other.picture)


def test_scenes_are_labelled_within_their_frame() -> None:
    composer = SceneComposer(marked_bank(), [], size_px=192)
    scenes = [composer.compose(np.random.default_rng([1, i])) for i in range(30)]
    assert any(len(scene.wanted) == 0 for scene in scenes)
    assert any(len(scene.wanted) > 2 for scene in scenes)
    for scene in scenes:
        assert scene.picture.shape == (192, 192, 3)
        assert (scene.boxes_xyxy >= -0.5).all()
        assert (scene.boxes_xyxy <= 191.5).all()
        targets = assign_targets(scene)
        assert targets["state"].shape == (MAX_FACES,)
        assert (targets["state"] >= 0).sum() == len(scene.wanted)


def test_a_face_on_its_side_has_a_box_on_its_side() -> None:
    quarter = np.array([[0.0, -1, 0], [1, 0, 0]])
    np.testing.assert_allclose(ellipse_box(BOX, quarter), [-216, 70, -60, 186], atol=1e-3)


def test_a_bent_face_keeps_its_labels() -> None:
    """A spot at each landmark is found where the label went, nearly always within half a pixel."""
    matte = marked_bank().mattes[0]
    rows, columns = np.mgrid[:BANK_PX, :BANK_PX]
    errors = []
    for seed in range(20):
        for point, (x, y) in enumerate(POINTS.astype(int)):
            spot = np.zeros((BANK_PX, BANK_PX, 3), np.uint8)
            cv2.circle(spot, (int(x), int(y)), 2, (255, 255, 255), -1, cv2.LINE_AA)
            bent, _, points = warp_face(np.random.default_rng(seed), spot, matte, BOX, POINTS)
            light = bent[..., 0] / bent[..., 0].sum(dtype=np.float64)
            seen = (light * columns).sum(), (light * rows).sum()
            errors.append(np.linalg.norm(points[point] - seen))
    assert np.percentile(errors, 95) < 0.5


def test_spoiling_keeps_the_size_and_the_brightness_order() -> None:
    ramp = np.tile(np.linspace(0, 255, 96).astype(np.uint8)[None, :, None], (96, 1, 3))
    for seed in range(40):
        spoilt = augment_image(np.random.default_rng(seed), ramp)
        assert spoilt.shape == ramp.shape
        assert spoilt.dtype == np.uint8
        assert spoilt[:, 60:].mean() >= spoilt[:, :36].mean()
        assert (augment_image(np.random.default_rng(seed), ramp, most=0.0) == ramp).all()


def test_a_matte_holds_the_face_and_not_the_corners() -> None:
    picture = np.full((BANK_PX, BANK_PX, 3), (200, 190, 180), np.uint8)
    cv2.ellipse(picture, ((128, 138), (130, 170), 0), (60, 90, 160), -1)
    picture += np.random.default_rng(0).integers(0, 8, picture.shape, dtype=np.uint8)
    matte = person_matte(picture, BOX)
    assert matte[120:160, 100:156].min() == 255
    assert matte[:20, :20].max() == 0


def test_a_bank_is_built_saved_and_mapped(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cv2.imwrite(str(tmp_path / "a.png"), rng.integers(0, 255, (512, 512, 3), dtype=np.uint8))
    header = "file,source,split,box_x0,box_y0,box_x1,box_y1," + ",".join(
        f"{part}_{axis}" for part in LANDMARKS for axis in "xy"
    )
    numbers = ",".join(str(v) for v in [140, 120, 372, 432, *(2 * POINTS.ravel())])
    cv2.imwrite(str(tmp_path / "wide.png"), np.zeros((512, 640, 3), np.uint8))
    rows = [header, *(f"{name}.png,x,train,{numbers}" for name in ("a", "gone", "wide"))]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    bank = build_face_bank(tmp_path, "train")
    bank.save(tmp_path / "bank")
    mapped = FaceBank.load(tmp_path / "bank")
    assert len(mapped.pictures) == 1 + len(YAWS)
    np.testing.assert_allclose(mapped.boxes_xyxy[0], BOX)
    np.testing.assert_allclose(mapped.landmarks[0], POINTS, atol=0.5)
    with pytest.raises(ValueError, match="no readable picture in split 'val'"):
        build_face_bank(tmp_path, "val")


def test_saving_a_bank_leaves_one_that_is_mapped_as_it_was(tmp_path: Path) -> None:
    bank = marked_bank()
    bank.save(tmp_path)
    mapped = FaceBank.load(tmp_path)
    replace(bank, pictures=255 - bank.pictures).save(tmp_path)
    assert np.array_equal(mapped.pictures, bank.pictures)
    assert np.array_equal(FaceBank.load(tmp_path).pictures, 255 - bank.pictures)
    names = {*(f"{name}.npy" for name in FIELDS), "source.txt"}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_a_bank_is_not_saved_where_its_files_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "landmarks.npy").mkdir()
    with pytest.raises(VideoWriteError, match=r"landmarks\.npy is a folder"):
        marked_bank().save(tmp_path, "checksum")
    assert not is_kept_from(tmp_path, "checksum")


def test_unknown_texture_folders_give_no_textures(tmp_path: Path) -> None:
    assert load_textures(tmp_path) == []


def test_a_turned_scene_s_labels_lie_where_its_picture_does() -> None:
    """Dots at the landmarks are still under them, and cut-off faces are not wanted."""
    landmarks = np.array([[[50, 52], [78, 52], [64, 66], [54, 82], [75, 82]]], np.float32)
    picture = np.zeros((128, 128, 3), np.uint8)
    for x, y in landmarks[0].astype(int):
        cv2.circle(picture, (int(x), int(y)), 2, (255, 255, 255), -1)
    corner = landmarks - 48
    scene = Scene(
        picture,
        np.array([[40, 40, 88, 94], [0, 0, 40, 46]], np.float32),
        np.concatenate([landmarks, corner]),
        np.array([True, True]),
    )
    wanted = []
    for seed in range(12):
        turned = rotate_scene(np.random.default_rng(seed), scene)
        for x, y in np.rint(turned.landmarks[0]).astype(int):
            assert turned.picture[y, x].min() > 128
        low, high = turned.boxes_xyxy[0, :2], turned.boxes_xyxy[0, 2:]
        assert ((turned.landmarks[0] > low) & (turned.landmarks[0] < high)).all()
        outside = ((turned.landmarks[1] < 0) | (turned.landmarks[1] > 127)).any(1).sum()
        assert turned.wanted.tolist() == [True, outside <= 1]
        wanted.append(bool(turned.wanted[1]))
    assert set(wanted) == {True, False}


def test_light_from_one_side_leaves_the_other_darker() -> None:
    plain = np.full((64, 64, 3), 120, np.uint8)
    for seed in range(40):
        lit = light_from_side(np.random.default_rng(seed), plain).astype(np.float64)
        slope = np.array(
            [lit[:, 32:].mean() - lit[:, :32].mean(), lit[32:].mean() - lit[:32].mean()]
        )
        assert lit.shape == plain.shape
        assert np.hypot(*slope) > 1
        assert lit.min() < 120


def test_a_raised_hand_hides_the_chin_and_not_the_eyes() -> None:
    hidden = np.zeros((256, 256))
    for seed in range(40):
        owners = np.zeros((256, 256), np.int16)
        picture = np.zeros((256, 256, 3), np.uint8)
        skin = np.full((BANK_PX, BANK_PX, 3), 90, np.uint8)
        draw_hand(np.random.default_rng(seed), picture, owners, skin, BOX)
        assert picture[owners == -1].any()
        hidden += owners == -1
    left, top, right, bottom = BOX.astype(int)
    chin = hidden[bottom - 12 : bottom, left:right].mean() / 40
    eyes = hidden[top : int(POINTS[:2, 1].max()), left:right].mean() / 40
    assert chin > 0.15
    assert eyes < 0.03
