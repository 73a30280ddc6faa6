"""Training pairs: loading, windows, seeds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from labelled_faces import write_faces

from vidrestore.errors import DataError
from vidrestore.models.compact_unet import coordinate_grid
from vidrestore.training.degradations import BlindVideo
from vidrestore.training.faces import Faces, PairDataset, load_faces, mirror_landmarks, to_network


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


def test_a_folder_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no labels\.csv"):
        load_faces(tmp_path, "train")


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
        eye = sample.landmarks[0] + torch.tensor(start)
        assert eye.tolist() in ([193, 240], [511 - 319, 240])


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
    assert np.array_equal(mirror_landmarks(mirrored, 512), points)
