"""What the tests of batches share."""

from __future__ import annotations

import pytest
from clips import face_frames, write_clip


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A lossless clip of four frames with a face."""
    path = tmp_path_factory.mktemp("clip") / "clip.mkv"
    return write_clip(path, face_frames(4, width=160, height=120), codec="ffv1").read_bytes()
