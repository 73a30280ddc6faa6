"""Shows what becomes of grain and noise: clean clips are made grainy, restored, and compared.

    python tools/grain_table.py clip.mp4 … --start 2 --frames 24 --out /tmp/grain \\
        --variant "clean: --blend.grain 0" --variant "default:" \\
        --variant "before@/path/of/another/checkout: --temporal-filter.grain 0"

Every clip is degraded by the package's own film grain (weak, middle, strong) and by white noise,
stored without loss, and restored by every variant. A variant is a name, the checkout that is run
(this one where none is named) and options. Figures are of the face, luma of 0 to 255,
means over the frames:

    noise   standard deviation of the finest detail (above a blur of 1.5 px) on a cheek
    around  the same beside the face
    4 px    energy at periods of 4 crop pixels, over that of the truth
    psnr    to the truth, dB
    identity    cosine to the truth's embedding, every fourth frame (needs --identity)
    flicker     mean absolute change of the error from frame to frame

Pictures of the middle frame lie beside the files: the input, each variant, and the truth.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidrestore.degradations.film import film_grain
from vidrestore.geometry import apply, invert, similarity_from_points
from vidrestore.metrics.identity import FaceIdentity
from vidrestore.models.load import load_detector
from vidrestore.models.templates import landmark_template

RGB = npt.NDArray[np.uint8]
Image = npt.NDArray[np.float32]
CROP_PX = 512
TEMPLATE = landmark_template("ffhq", CROP_PX)
CHEEK = (0.30, 0.55, 0.40, 0.66)
"""Left, top, right, bottom of a cheek, as shares of an aligned crop."""
FACE = (0.2, 0.22, 0.8, 0.88)

MATERIALS: dict[str, Callable[[Image, np.random.Generator], Image]] = {
    "grain 0.03": lambda image, rng: film_grain(image, 0.03, 0.6, 0.2, rng),
    "grain 0.06": lambda image, rng: film_grain(image, 0.06, 0.8, 0.2, rng),
    "grain 0.10": lambda image, rng: film_grain(image, 0.10, 1.0, 0.2, rng),
    "noise 10": lambda image, rng: image + rng.normal(0, 10 / 255, image.shape),
    "clean": lambda image, rng: image,
}


def read(path: Path, start_s: float, count: int) -> list[RGB]:
    """Frames (H, W, 3) from a time on."""
    found: list[RGB] = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time >= start_s:
                found.append(frame.to_ndarray(format="rgb24"))
            if len(found) == count:
                break
    return found


def write(path: Path, frames: list[RGB]) -> None:
    """Store without loss, 4:2:0."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", Fraction(25))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode(None))


def alignments(truth: list[RGB]) -> list[npt.NDArray[np.float64] | None]:
    """(2, 3) affine of every frame that leads from its largest face to a crop."""
    detector = load_detector()
    found = []
    for frame in truth:
        image = torch.from_numpy(frame).permute(2, 0, 1).float()[None] / 255
        scale = min(1.0, 640 / max(frame.shape[:2]))
        small = torch.nn.functional.interpolate(image, scale_factor=scale, mode="area")
        faces = detector(small)[0]
        if not len(faces):
            found.append(None)
            continue
        sides = faces.boxes_xyxy[:, 2] - faces.boxes_xyxy[:, 0]
        landmarks = faces.landmarks[int(sides.argmax())] / scale
        found.append(similarity_from_points(TEMPLATE, landmarks))
    return found


def region(
    place: tuple[float, ...], matrix: npt.NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[slice, slice]:
    """Rows and columns of a part of the crop in the frame."""
    corners = apply(invert(matrix), np.array(place).reshape(2, 2) * CROP_PX)
    low, high = np.sort(np.rint(corners).astype(int), axis=0)
    low, high = low.clip(0), np.minimum(high, [shape[1], shape[0]])
    return slice(low[1], high[1]), slice(low[0], high[0])


def luma(frame: RGB) -> Image:
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)


def finest(frame: RGB) -> Image:
    gray = luma(frame)
    return gray - cv2.GaussianBlur(gray, (0, 0), 1.5)


def beside(matrix: npt.NDArray[np.float64], shape: tuple[int, ...]) -> tuple[slice, slice]:
    return region((-0.25, 0.3, -0.08, 0.6), matrix, shape)


def lattice(frame: RGB, matrix: npt.NDArray[np.float64]) -> float:
    """Energy at periods of 4 crop pixels."""
    crop = cv2.warpAffine(luma(frame), matrix, (CROP_PX, CROP_PX), flags=cv2.INTER_CUBIC)[
        128:384, 128:384
    ]
    power = (
        np.abs(
            np.fft.fft2(
                (crop - cv2.GaussianBlur(crop, (0, 0), 4))
                * np.outer(np.hanning(256), np.hanning(256))
            )
        )
        ** 2
    )
    near = [slice(63, 66), slice(191, 194)]
    return float(sum(power[rows, 0:2].sum() + power[0:2, rows].sum() for rows in near))


def measure(
    out: list[RGB],
    truth: list[RGB],
    places: list[npt.NDArray[np.float64] | None],
    identity: FaceIdentity | None,
) -> dict[str, float]:
    rows: dict[str, list[float]] = {
        name: [] for name in ("noise", "around", "4 px", "psnr", "flicker")
    }
    before = None
    embeddings: list[list[Tensor]] = [[], []]
    for frame, true, matrix in zip(out, truth, places, strict=True):
        if matrix is None:
            before = None
            continue
        shape = frame.shape
        fine = finest(frame)
        rows["noise"].append(float(fine[region(CHEEK, matrix, shape)].std()))
        side = fine[beside(matrix, shape)]
        if side.size:
            rows["around"].append(float(side.std()))
        rows["4 px"].append(lattice(frame, matrix) / max(lattice(true, matrix), 1e-6))
        face = region(FACE, matrix, shape)
        error = luma(frame) - luma(true)
        rows["psnr"].append(float(10 * np.log10(255**2 / max(np.square(error[face]).mean(), 1e-9))))
        if before is not None:
            rows["flicker"].append(float(np.abs(error[face] - before[face]).mean()))
        before = error
        if identity is not None and len(rows["psnr"]) % 4 == 1:
            for found_, picture in zip(embeddings, (frame, true), strict=True):
                image = torch.from_numpy(picture).permute(2, 0, 1).float()[None] / 255
                crop_landmarks = torch.from_numpy(apply(invert(matrix), TEMPLATE)).float()[None]
                found_.append(identity(identity.align(image, crop_landmarks))[0][0])
    values = {
        name: float(np.mean(found)) if found else float("nan") for name, found in rows.items()
    }
    if identity is not None:
        values["identity"] = float(
            np.mean([torch.dot(a, b) for a, b in zip(*embeddings, strict=True)])
        )
    return values


def restore(source: Path, output: Path, checkout: str, options: list[str]) -> None:
    command = [
        sys.executable,
        "-m",
        "vidrestore",
        str(source.resolve()),
        str(output.resolve()),
        "--codec",
        "ffv1",
        "--overwrite",
        *options,
    ]
    subprocess.run(command, check=True, cwd=checkout, capture_output=True)


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--variant", action="append", required=True)
    parser.add_argument("--start", type=float, default=2.0)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--materials", nargs="*", default=list(MATERIALS))
    parser.add_argument("--identity", help="weights of the identity network")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    identity = FaceIdentity(Path(options.identity)) if options.identity else None
    here = str(Path(__file__).resolve().parents[1])
    for clip in options.clips:
        frames = read(clip, options.start, options.frames)
        height, width = (side & ~1 for side in frames[0].shape[:2])
        truth = [np.ascontiguousarray(frame[:height, :width]) for frame in frames]
        places = alignments(truth)
        for material in options.materials:
            rng = np.random.default_rng(1)
            bad = [
                np.rint(
                    np.clip(MATERIALS[material](frame.astype(np.float32) / 255, rng), 0, 1) * 255
                ).astype(np.uint8)
                for frame in truth
            ]
            name = f"{clip.stem}_{material.replace(' ', '_')}"
            source = options.out / f"{name}.mkv"
            write(source, bad)
            pictures = {"input": read(source, 0, options.frames)}
            for variant in options.variant:
                label, _, arguments = variant.partition(":")
                label, _, checkout = label.partition("@")
                output = options.out / f"{name}_{label}.mkv"
                restore(source, output, checkout or here, arguments.split())
                pictures[label] = read(output, 0, options.frames)
            pictures["truth"] = truth
            for label, found in pictures.items():
                values = measure(found, truth, places, identity)
                print(
                    f"{name:28} {label:10}",
                    "  ".join(f"{key} {value:7.3f}" for key, value in values.items()),
                    flush=True,
                )
            middle = len(truth) // 2
            tiles = []
            for found in pictures.values():
                matrix = places[middle]
                part = (
                    region((0, 0, 1, 1), matrix, truth[0].shape)
                    if matrix is not None
                    else (slice(None), slice(None))
                )
                tiles.append(found[middle][part])
            cv2.imwrite(
                str(options.out / f"{name}.png"), cv2.cvtColor(np.hstack(tiles), cv2.COLOR_RGB2BGR)
            )


if __name__ == "__main__":
    main()
