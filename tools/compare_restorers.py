"""Compares weights files on held-out faces, aligned as each one's file says and the program cuts.

    python tools/compare_restorers.py with.safetensors without.safetensors --data faces \\
        --recipe gpen --identity mobilefacenet.pt --out compared.png

Of every face it takes the coloured picture and a gray one. Figures are means over the middle of the
crops (the border of an aligned picture lies near): PSNR and SSIM of luma, sharpness as a share of
the truth's, the error of the colour differences, the identity angle, and the colour (mean size of
the colour differences, of 255) in the answers to gray pictures, which should have none. The picture
shows rows of: degraded, an answer of each file, truth; the last rows are the gray ones.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from vidrestore.degradations import grayscale, load_recipe
from vidrestore.luma import tensor_luma
from vidrestore.metrics import images as metrics
from vidrestore.metrics.identity import FaceIdentity, identity_angle
from vidrestore.models.interfaces import FaceRestorer
from vidrestore.models.load import load_restorer
from vidrestore.models.templates import landmark_template
from vidrestore.training.data.faces import load_faces

BORDER = 0.1
"""Share of the crop's side, at each side, that does not count."""


def template_of(restorer: FaceRestorer) -> str:
    """Name of a restorer's alignment."""
    names = ("ffhq", "gpen")
    return next(
        n for n in names if np.allclose(landmark_template(n, restorer.size), restorer.template)
    )


def pairs(restorer: FaceRestorer, options: argparse.Namespace, gray: bool) -> tuple[Tensor, ...]:
    """Degraded and true crops (N, 3, S, S) in [0, 1], and landmarks (N, 5, 2)."""
    size = restorer.size
    faces = load_faces(
        options.data,
        "val",
        size=size,
        resize=True,
        template=template_of(restorer),
        limit=options.faces,
    )
    recipe = load_recipe(options.recipe).for_size(size)
    degraded, truths = [], []
    for index, image in enumerate(faces.images):
        rng = np.random.default_rng([options.seed, index])
        truth = image.astype(np.float32) / np.float32(255)
        truth = grayscale(truth) if gray else truth
        truths.append(torch.from_numpy(truth).permute(2, 0, 1))
        degraded.append(torch.from_numpy(recipe.draw(rng).picture(truth, rng)).permute(2, 0, 1))
    return torch.stack(degraded), torch.stack(truths), torch.from_numpy(faces.landmarks)


def middle(pictures: Tensor) -> Tensor:
    edge = round(BORDER * pictures.shape[-1])
    return pictures[..., edge:-edge, edge:-edge]


def colour(pictures: Tensor) -> Tensor:
    """Red and blue less luma, (N, 2, H, W)."""
    return pictures[:, ::2] - tensor_luma(pictures)


def figures(
    found: Tensor, truth: Tensor, points: Tensor, face: FaceIdentity | None
) -> dict[str, float]:
    own, wanted = middle(found), middle(truth)
    values = {
        "psnr_db": metrics.psnr(own, wanted).mean(),
        "ssim": metrics.ssim(own, wanted).mean(),
        "sharpness": (metrics.sharpness(own) / metrics.sharpness(wanted)).mean(),
        "colour_error": 255 * (colour(own) - colour(wanted)).abs().mean(),
    }
    if face is not None:
        one, other = (face(face.align(pictures, points))[0] for pictures in (found, truth))
        values["identity_deg"] = identity_angle((one * other).sum(1)).mean()
    return {name: float(value) for name, value in values.items()}


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="faces with labels.csv")
    parser.add_argument("--recipe", default="gpen", help="of `vidrestore degrade`: name or file")
    parser.add_argument("--identity", type=Path, help="mobilefacenet.pt, for the identity angle")
    parser.add_argument("--faces", type=int, default=60)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, help="PNG of some faces")
    options = parser.parse_args()
    face = FaceIdentity(options.identity) if options.identity else None
    columns: dict[bool, list[Tensor]] = {False: [], True: []}
    for path in options.weights:
        restorer = load_restorer(path, device="cpu", precision="float32")
        degraded, truth, points = pairs(restorer, options, gray=False)
        gray = pairs(restorer, options, gray=True)[0]
        restored, of_gray = restorer(degraded), restorer(gray)
        if not columns[False]:
            print("input", figures(degraded, truth, points, face))
            columns = {False: [degraded], True: [gray]}
        told = figures(restored, truth, points, face)
        told["colour_of_gray"] = float(255 * colour(middle(of_gray)).abs().mean())
        print(path, {name: round(value, 3) for name, value in told.items()})
        columns[False].append(restored)
        columns[True].append(of_gray)
    if options.out:
        rows = [torch.cat([part[i] for part in (*columns[False], truth)], 2) for i in range(6)]
        rows += [torch.cat([part[i] for part in (*columns[True], truth)], 2) for i in range(3)]
        sheet = torch.cat(rows, 1).permute(1, 2, 0).mul(255).round().byte().numpy()
        sheet = cv2.resize(sheet, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(options.out), sheet[..., ::-1])


if __name__ == "__main__":
    main()
