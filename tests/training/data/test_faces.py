"""Training pairs: loading, windows, seeds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from labelled_faces import write_faces

from vidrestore import geometry
from vidrestore.datasets.images import read_picture
from vidrestore.datasets.labels import LANDMARKS, read_labels
from vidrestore.degradations import BlindVideo
from vidrestore.errors import DataError
from vidrestore.models.nets.compact_unet import coordinate_grid
from vidrestore.models.templates import landmark_template
from vidrestore.training.data.batches import batches
from vidrestore.training.data.faces import Faces, FacesOnDisk, load_faces, open_faces
from vidrestore.training.data.pairs import PairDataset, blind_pair, mirror_landmarks, to_network


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    return load_faces(write_faces(tmp_path_factory.mktemp("faces"), {"train": 3}), "train")


def dataset(faces: Faces, **changes: object) -> PairDataset:
    arguments = {"window": 128, "samples": 20, "gray_share": 0.0, **changes}
    return PairDataset(faces, BlindVideo(), **arguments)


def test_only_the_split_and_size_asked_for_are_loaded(tmp_path: Path) -> None:
    write_faces(tmp_path, {"train": 2, "val": 1}, size=64)
    assert len(load_faces(tmp_path, "train", size=64)) == 2
    assert load_faces(tmp_path, "val", size=64).images.shape == (1, 64, 64, 3)
    with pytest.raises(DataError, match="no readable 512 px picture"):
        load_faces(tmp_path, "train")


def test_unreadable_pictures_are_named_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_faces(tmp_path, {"train": 2}, size=64)
    (tmp_path / "train_1.png").write_bytes(b"no picture")
    assert load_faces(tmp_path, "train", size=64).names == ("train_0.png",)
    assert "train_1.png" in caplog.text


def test_folders_without_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither labels\.csv nor a picture"):
        load_faces(tmp_path, "train")
    with pytest.raises(DataError, match="no such folder"):
        load_faces(tmp_path / "absent", "train")
    write_faces(tmp_path, {"train": 1}, size=32)
    with pytest.raises(DataError, match="no picture in split 'val'"):
        open_faces(tmp_path, "val", size=32)


def unlabelled(folder: Path, count: int, size: int = 32) -> Path:
    write_faces(folder, {"face": count}, size=size)
    (folder / "labels.csv").unlink()
    return folder


def test_labels_are_not_needed(tmp_path: Path) -> None:
    folder = unlabelled(tmp_path, 5)
    held_out = load_faces(folder, "val", size=32, held_out_every=4)
    assert held_out.names == ("face_0.png", "face_4.png")
    faces = load_faces(folder, "train", size=32, held_out_every=4)
    assert set(faces.names) == {"face_1.png", "face_2.png", "face_3.png"}
    assert np.allclose(faces.landmarks[0], landmark_template("ffhq", 32))


def tilted_face(folder: Path) -> np.ndarray:
    """A training and a held-out picture of 64 px; gives the landmarks, which no template has."""
    write_faces(folder, {"train": 1, "val": 1}, size=64)
    for path in folder.glob("*.png"):  # Soft, so that ways of resampling hardly differ.
        cv2.imwrite(str(path), cv2.GaussianBlur(cv2.imread(str(path)), (0, 0), 2.0))
    turn = geometry.compose_similarity(-0.3, 0.2, (14.0, 2.0))
    points = geometry.apply(turn, landmark_template("ffhq", 64))
    labels = folder / "labels.csv"
    rows = read_labels(labels)
    for row in rows:
        for point, (x, y) in zip(LANDMARKS, points, strict=True):
            row |= {f"{point}_x": f"{x:.4f}", f"{point}_y": f"{y:.4f}"}
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    labels.write_text("\n".join(lines))
    return points


@pytest.mark.parametrize("template", ["ffhq", "gpen"])
@pytest.mark.parametrize("memory_gib", [0.0, 1.0])
def test_labelled_faces_are_cut_as_the_program_cuts_them(
    template: str, memory_gib: float, tmp_path: Path
) -> None:
    points, wanted = tilted_face(tmp_path), landmark_template(template, 32)
    to_crop = geometry.similarity_from_points(wanted, points)
    places = geometry.apply(
        geometry.invert(to_crop), np.stack(np.meshgrid(*[np.arange(32.0)] * 2), axis=-1)
    )
    shown = ((places > 2) & (places < 61)).all(-1)  # Beyond the picture, ours is mirrored.
    assert shown.mean() > 0.6
    for split in ("train", "val"):
        faces = open_faces(
            tmp_path, split, size=32, resize=True, template=template, memory_gib=memory_gib
        )
        crop, landmarks = faces.face(0)
        assert np.allclose(landmarks, geometry.apply(to_crop, points), atol=0.01)
        assert np.allclose(landmarks, wanted, atol=0.5)
        pixels = torch.from_numpy(read_picture(tmp_path / f"{split}_0.png")).permute(2, 0, 1)
        programs = geometry.warp_affine(pixels[None].float(), to_crop, (32, 32))
        difference = programs[0].permute(1, 2, 0).numpy() - crop
        assert np.abs(difference[shown]).mean() < 2


def test_pictures_without_landmarks_keep_their_alignment_or_are_warped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = unlabelled(tmp_path, 3, size=64)
    kept = load_faces(folder, "train", size=64)
    assert np.array_equal(kept.images[0], read_picture(folder / kept.names[0]))
    assert "2 pictures of the split train have no landmarks" in caplog.text
    assert "aligned as ffhq already" in caplog.text and "left as they are" in caplog.text
    moved = load_faces(folder, "train", size=64, template="gpen")
    assert "warped to gpen" in caplog.text
    assert np.allclose(moved.landmarks[0], landmark_template("gpen", 64), atol=1.0)
    assert not np.array_equal(moved.images[0], kept.images[0])
    same = load_faces(folder, "train", size=64, template="gpen", unlabelled_template="gpen")
    assert np.array_equal(same.images, kept.images)
    assert np.allclose(same.landmarks[0], landmark_template("gpen", 64))


def test_faces_outside_their_picture_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_faces(tmp_path, {"train": 2}, size=64)
    labels = tmp_path / "labels.csv"
    head, first, *rest = labels.read_text().splitlines()
    cells = first.split(",")
    far = [str(float(cell) + 500) for cell in cells[-10:]]
    labels.write_text("\n".join([head, ",".join([*cells[:-10], *far]), *rest]))
    assert load_faces(tmp_path, "train", size=64).names == ("train_1.png",)
    assert "train_0.png: has its landmarks outside" in caplog.text


def test_pictures_are_resized_only_when_asked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_faces(tmp_path, {"train": 2}, size=64)
    large = load_faces(tmp_path, "train", size=64)
    small = load_faces(tmp_path, "train", size=32, resize=True)
    assert small.images.shape == (2, 32, 32, 3)
    for faces in (small, large):
        assert np.allclose(faces.landmarks, landmark_template("ffhq", faces.size), atol=0.1)
    with pytest.raises(DataError, match="is 64x64, not 32x32"):
        load_faces(tmp_path, "train", size=32)
    cv2.imwrite(str(tmp_path / "train_0.png"), np.zeros((32, 16, 3), np.uint8))
    assert load_faces(tmp_path, "train", size=32, resize=True).names == ("train_1.png",)
    assert "train_0.png: is 16x32, not square" in caplog.text


def test_sets_larger_than_memory_are_decoded_when_wanted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_faces(tmp_path, {"train": 3}, size=32)
    stored, decoded = (open_faces(tmp_path, "train", size=32, memory_gib=gib) for gib in (0.0, 1.0))
    assert isinstance(stored, FacesOnDisk) and isinstance(decoded, Faces)
    for index in range(3):
        for own, wanted in zip(stored.face(index), decoded.face(index), strict=True):
            assert np.array_equal(own, wanted)
    (tmp_path / "train_1.png").write_bytes(b"no picture")
    others = [decoded.face(index)[0].tobytes() for index in (0, 2)]
    assert {stored.face(1, turn)[0].tobytes() for turn in range(20)} == set(others)
    assert "train_1.png: cannot be read, left out (1 of 3 so far)" in caplog.text
    for name in ("train_0.png", "train_2.png"):
        (tmp_path / name).unlink()
    with pytest.raises(DataError, match="none of its 3 pictures can be used"):
        stored.face(0)


def test_many_bad_pictures_end_no_training_and_favour_nobody(tmp_path: Path) -> None:
    write_faces(tmp_path, {"train": 5}, size=16)
    head, *rows = (tmp_path / "labels.csv").read_text().splitlines()
    bad = [rows[0].replace("train_0", f"bad_{number}") for number in range(60)]
    (tmp_path / "labels.csv").write_text("\n".join([head, rows[0], *bad, *rows[1:]]))
    faces = open_faces(tmp_path, "train", size=16, memory_gib=0.0)
    samples = PairDataset(faces, None, window=16, samples=650, mirror_share=0.0, gray_share=0.0)
    brightness = [round(float(samples[index].truth.mean()), 3) for index in range(650)]
    counts = sorted(Counter(brightness).values())
    assert len(counts) == 5
    assert counts[0] >= 95 and counts[-1] <= 165  # 130 each, give or take chance.


def test_bad_labels_are_named(tmp_path: Path) -> None:
    write_faces(tmp_path, {"train": 1}, size=32)
    labels = tmp_path / "labels.csv"
    labels.write_text(labels.read_text().replace("12.0625", "left"))
    with pytest.raises(DataError, match=r"train_0\.png: left_eye_x is no number.*left"):
        load_faces(tmp_path, "train", size=32)
    labels.write_text("picture\ntrain_0.png\n")
    with pytest.raises(DataError, match="column 'file'"):
        load_faces(tmp_path, "train", size=32)


def test_processes_share_every_batch(faces: Faces) -> None:
    def numbers(rank: int, n_processes: int) -> list[list[int]]:
        samples = dataset(faces, window=16)
        parts = batches(samples, 4, 17, 4, rank=rank, n_processes=n_processes)
        return [part.number.tolist() for part in parts]

    assert numbers(0, 1) == [[4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]
    pairs = zip(numbers(0, 2), numbers(1, 2), strict=True)
    assert [first + second for first, second in pairs] == numbers(0, 1)
    with pytest.raises(DataError, match="cannot be shared by 3"):
        numbers(0, 3)


def test_blind_pairs_follow_from_their_index(faces: Faces) -> None:
    degraded, truth = blind_pair(faces, BlindVideo(), 1)
    again, _ = blind_pair(faces, BlindVideo(), 1)
    other, _ = blind_pair(faces, BlindVideo(), 1, seed=9)
    assert torch.equal(degraded, again)
    assert not torch.equal(degraded, other)
    assert np.allclose((truth.numpy() + 1) * 127.5, faces.images[1].transpose(2, 0, 1), atol=1e-3)


def test_samples_follow_from_their_number(faces: Faces) -> None:
    for first, again in zip(dataset(faces)[7], dataset(faces)[7], strict=True):
        assert torch.equal(first, again)
    assert not torch.equal(dataset(faces)[7].truth, dataset(faces, seed=1)[7].truth)


def test_every_face_is_seen_once_an_epoch(faces: Faces) -> None:
    epochs = np.array([dataset(faces)._face_of(i) for i in range(12)]).reshape(4, 3)
    assert (np.sort(epochs, axis=1) == [0, 1, 2]).all()


def test_windows_lie_where_their_coordinates_say(faces: Faces) -> None:
    whole = coordinate_grid(512, 512)
    crops = [to_network(image / np.float32(255)) for image in faces.images]
    crops += [crop.flip(-1) for crop in crops]
    for index in range(6):
        sample = dataset(faces)[index]
        start = ((sample.coordinates[:, 0, 0] + 1) * 256 - 0.5).round().long().tolist()
        cut = (..., slice(start[1], start[1] + 128), slice(start[0], start[0] + 128))
        assert torch.allclose(whole[cut], sample.coordinates)
        assert any(torch.allclose(crop[cut], sample.truth, atol=1e-6) for crop in crops)
        eye = (sample.landmarks[0] + torch.tensor(start)).numpy()
        assert any(np.allclose(eye, place, atol=0.5) for place in ([193, 240], [511 - 319, 240]))


def test_whole_crops_start_at_the_corner(faces: Faces) -> None:
    sample = dataset(faces, window=512)[0]
    assert sample.truth.shape == (3, 512, 512)
    assert torch.equal(sample.coordinates, coordinate_grid(512, 512))


def test_gray_samples_have_gray_truths(faces: Faces) -> None:
    sample = dataset(faces, gray_share=1.0)[0]
    assert torch.equal(sample.truth[0], sample.truth[2])


def test_mirroring_twice_changes_nothing(faces: Faces) -> None:
    points = faces.landmarks[0]
    mirrored = mirror_landmarks(points, 512)
    assert mirrored[0].tolist() == [511 - points[1, 0], points[1, 1]]
    assert np.allclose(mirror_landmarks(mirrored, 512), points)
