"""Arrays and faces as plain values, for JSON: what is read back equals what was written."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import numpy.typing as npt

from vidrestore.structs import Array, ComponentNoise, Face, NoiseModel

__all__ = [
    "array_from_plain",
    "array_to_plain",
    "face_from_plain",
    "face_to_plain",
    "noise_from_plain",
    "noise_to_plain",
]

Plain = dict[str, Any]


def array_to_plain(array: npt.NDArray[Any]) -> Plain:
    """Give shape, type and samples; little-endian, in base64."""
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    data = base64.b64encode(little.tobytes()).decode("ascii")
    return {"type": little.dtype.str, "shape": list(array.shape), "data": data}


def array_from_plain(plain: Plain) -> npt.NDArray[Any]:
    """Undo `array_to_plain`.

    Raises:
        ValueError: it is of another type than numbers, or of another size.
    """
    if plain["type"] not in ("<f8", "<f4", "<i8"):
        raise ValueError(f"numbers of type {plain['type']!r}")
    data = base64.b64decode(plain["data"], validate=True)
    array = np.frombuffer(data, plain["type"]).reshape(plain["shape"])
    return array.astype(array.dtype.newbyteorder("="))


def face_to_plain(face: Face) -> Plain:
    """Give what detecting and tracking know of a face."""
    motion = None if face.motion is None else _numbers(face.motion)
    return {
        "box": _numbers(face.box_xyxy),
        "landmarks": _numbers(face.landmarks),
        "score": float(face.score),
        "track": face.track_id,
        "detected": bool(face.detected),
        "motion": motion,
    }


def face_from_plain(plain: Plain) -> Face:
    """Undo `face_to_plain`."""
    motion = plain["motion"]
    return Face(
        np.array(plain["box"], np.float64),
        np.array(plain["landmarks"], np.float64).reshape(5, 2),
        plain["score"],
        plain["track"],
        plain["detected"],
        None if motion is None else np.array(motion, np.float64).reshape(2, 3),
    )


def noise_to_plain(noise: NoiseModel | None) -> Plain | None:
    """Give a model of noise; None stays None."""
    if noise is None:
        return None
    components = [
        {
            "brightness": array_to_plain(one.brightness),
            "sigma": array_to_plain(one.sigma),
            "correlation": array_to_plain(one.correlation),
        }
        for one in noise.components
    ]
    return {
        "components": components,
        "detail": float(noise.detail),
        "unrest": float(noise.unrest),
    }


def noise_from_plain(plain: Plain | None) -> NoiseModel | None:
    """Undo `noise_to_plain`."""
    if plain is None:
        return None
    components = tuple(
        ComponentNoise(*(array_from_plain(one[name]) for name in _COMPONENT))
        for one in plain["components"]
    )
    return NoiseModel(components, plain["detail"], plain["unrest"])


_COMPONENT = ("brightness", "sigma", "correlation")


def _numbers(array: Array) -> list[float]:
    flat: list[float] = np.asarray(array, np.float64).ravel().tolist()
    return flat
