"""The embedded detector's networks: an anchor-free one over whole pictures, and one for its faces.

``CompactDetector`` answers for every cell of four grids (strides 8 to 64) a logit, a box and five
landmarks, already in pixels; its ``FaceRefiner`` looks at each face again.

Conventions: pixels of the given image, pixel centres at integers, origin top left; a box is the
continuous rectangle ``x0, y0, x1, y1``. Landmark order: left eye, right eye (as seen in the image),
nose tip, left and right mouth corner.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

__all__ = [
    "CellAnswers",
    "CompactDetector",
    "FaceRefiner",
    "RefinerAnswers",
    "cell_centres",
    "fold_batch_norms",
    "refiner_crops",
    "refiner_frames",
]

STRIDES = (8, 16, 32, 64)
"""Cell sizes of the four grids, in pixels. Heads are shared, so a face looks alike to them at every
grid."""

N_LANDMARKS = 5

MIRRORED_LANDMARKS = (1, 0, 2, 4, 3)
"""Which landmark each one is in the mirror image."""


class CellAnswers(NamedTuple):
    """What the network says about every cell of all grids, coarse grids last."""

    logits: Tensor
    """(N, P) confidence before the sigmoid."""
    boxes_xyxy: Tensor
    """(N, P, 4) in pixels of the network's input."""
    landmarks: Tensor
    """(N, P, 5, 2) in pixels of the network's input."""


def cell_centres(height: int, width: int, *, device: torch.device | None = None) -> Tensor:
    """Centres and strides of all cells for an input of a size divisible by the largest stride.

    Args:
        height: input height in pixels.
        width: input width in pixels.
        device: where the result lives.

    Returns:
        (P, 3) float: x, y of the centre in pixels (pixel centres at integers) and the stride, in
        the order of `CellAnswers`.
    """
    grids = []
    for stride in STRIDES:
        rows = (torch.arange(height // stride, device=device) + 0.5) * stride - 0.5
        columns = (torch.arange(width // stride, device=device) + 0.5) * stride - 0.5
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        grids.append(torch.stack([x, y, torch.full_like(x, stride)], dim=-1).reshape(-1, 3))
    return torch.cat(grids)


class ConvBn(nn.Sequential):
    """3x3 or 1x1 convolution, batch normalisation and, where wanted, ReLU."""

    def __init__(
        self, inputs: int, outputs: int, size: int, *, stride: int = 1, relu: bool = True
    ) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
            nn.BatchNorm2d(outputs, momentum=0.03),
        ]
        if relu:
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


class SharedConvBn(nn.Module):
    """3x3 convolution shared by all grids, batch normalisation of each grid's own, and ReLU.

    Grids differ in their statistics: with one normalisation for all, training (each grid by its own
    batch) and use (all by the mean of the grids) would disagree.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv: nn.Module = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(outputs, momentum=0.03) for _ in STRIDES)

    def forward(self, x: Tensor, level: int) -> Tensor:
        """(N, C, H, W) features of the grid with number `level`."""
        return F.relu(self.norms[level](self.conv(x)), inplace=True)


class Residual(nn.Module):
    """``relu(x + conv3x3(relu(conv1x1(x))))`` with half the channels inside."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = ConvBn(channels, channels // 2, 1)
        self.spread = ConvBn(channels // 2, channels, 3, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """Keep shape (N, C, H, W)."""
        return F.relu(x + self.spread(self.squeeze(x)), inplace=True)


def _stage(inputs: int, outputs: int, n_blocks: int) -> nn.Sequential:
    blocks = [Residual(outputs) for _ in range(n_blocks)]
    return nn.Sequential(ConvBn(inputs, outputs, 3, stride=2), *blocks)


class CompactDetector(nn.Module):
    """Residual backbone, a top-down neck, and one head shared by four grids (anchor-free, as in
    FCOS, arXiv:1904.01355).

    Dense 3x3 convolutions rather than depthwise ones: at these widths they run near the CPU's peak,
    and train several times faster.
    """

    def __init__(
        self,
        widths: Sequence[int] = (16, 32, 64, 128, 128, 128),
        blocks: Sequence[int] = (1, 2, 2, 1, 1),
        neck_width: int = 64,
    ) -> None:
        """Build the network with random weights.

        Args:
            widths: channels at strides 2, 4, 8, 16, 32, 64.
            blocks: residual blocks at strides 4, 8, 16, 32, 64.
            neck_width: channels of the neck and the head.
        """
        super().__init__()
        self.stem = ConvBn(3, widths[0], 3, stride=2)
        self.stages = nn.ModuleList(
            _stage(before, after, n)
            for before, after, n in zip(widths[:-1], widths[1:], blocks, strict=True)
        )
        self.lateral = nn.ModuleList(ConvBn(w, neck_width, 1, relu=False) for w in widths[2:])
        self.smooth = SharedConvBn(neck_width, neck_width)
        self.score_tower = SharedConvBn(neck_width, neck_width // 2)
        self.place_tower = SharedConvBn(neck_width, neck_width)
        self.score = nn.Conv2d(neck_width // 2, 1, 1)
        self.place = nn.Conv2d(neck_width, 4 + 2 * N_LANDMARKS, 1)
        self.refiner = FaceRefiner()
        nn.init.constant_(_bias(self.score), -4.0)
        nn.init.normal_(self.place.weight, std=0.01)
        nn.init.constant_(_bias(self.place)[:4], 0.7)

    def forward(self, images: Tensor) -> CellAnswers:
        """Answers for every cell.

        Args:
            images: (N, 3, H, W) float RGB in [0, 1]; H and W divisible by 64.

        Returns:
            The cells' answers, in pixels of `images`.
        """
        features = self._pyramid((images - 0.5) * 4.0)
        scores, places = zip(*(self._head(f, i) for i, f in enumerate(features)), strict=True)
        logits, raw = torch.cat(scores, 1), torch.cat(places, 1)
        cells = cell_centres(*images.shape[2:], device=images.device)
        centre, stride = cells[:, :2], cells[:, 2:]
        reach = torch.exp(raw[..., :4].clamp(-6.0, 4.0)) * stride
        boxes = torch.cat([centre - reach[..., :2], centre + reach[..., 2:]], -1)
        offsets = raw[..., 4:].reshape(*raw.shape[:2], N_LANDMARKS, 2) * stride[:, None]
        return CellAnswers(logits, boxes, centre[:, None] + offsets)

    def _pyramid(self, x: Tensor) -> list[Tensor]:
        x = self.stages[0](self.stem(x))
        levels = []
        for stage in self.stages[1:]:
            x = stage(x)
            levels.append(x)
        merged = [lateral(level) for lateral, level in zip(self.lateral, levels, strict=True)]
        for i in range(len(merged) - 2, -1, -1):
            merged[i] = merged[i] + F.interpolate(merged[i + 1], scale_factor=2.0, mode="nearest")
        return [self.smooth(F.relu(m), i) for i, m in enumerate(merged)]

    def _head(self, x: Tensor, level: int) -> tuple[Tensor, Tensor]:
        logits = self.score(self.score_tower(x, level)).flatten(1)
        places = self.place(self.place_tower(x, level)).flatten(2).transpose(1, 2)
        return logits, places.float()


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias


class RefinerAnswers(NamedTuple):
    """What `FaceRefiner` says about crops."""

    logits: Tensor
    """(K,) for "a face", before the sigmoid."""
    landmarks: Tensor
    """(K, 5, 2) in pixels of the crop."""
    maps: Tensor
    """(K, 5, 40, 40) log-probabilities, up to a constant, of where each landmark is seen."""


class FaceRefiner(nn.Module):
    """Refine each face, cut out upright at 160 px: better landmarks and a second score.

    A trunk sees the crop at half its size; a shallow branch at full size adds what is lost there,
    and draws the maps of the landmarks finer. A landmark is the mean place under its map (Sun et
    al. 2018, arXiv:1711.08229), moved by what the face as a whole suggests: the convention that is
    learnt has leanings which no map of single places can have. Every crop is brought to one mean
    and contrast first, so that a face in the dark is a face.
    """

    def __init__(self, widths: Sequence[int] = (24, 48, 96, 128), detail_width: int = 32) -> None:
        """Build the network with random weights.

        Args:
            widths: channels at 40, 20, 10 and 5 px.
            detail_width: channels of the branch at 40 px.
        """
        super().__init__()
        fine, coarse, coarser = widths[1:]
        self.entry = ConvBn(3, widths[0], 3, stride=2)
        self.detail = nn.Sequential(
            ConvBn(3, detail_width // 2, 3, stride=2),
            ConvBn(detail_width // 2, detail_width, 3, stride=2),
            Residual(detail_width),
        )
        self.detail_entry = ConvBn(detail_width, widths[0], 1, relu=False)
        self.down = nn.ModuleList(
            [
                nn.Sequential(ConvBn(widths[0], fine, 3, stride=2), Residual(fine)),
                nn.Sequential(
                    ConvBn(fine, coarse, 3, stride=2), Residual(coarse), Residual(coarse)
                ),
                nn.Sequential(ConvBn(coarse, coarser, 3, stride=2), Residual(coarser)),
            ]
        )
        self.lift = nn.ModuleList(
            [
                ConvBn(coarser, coarse, 1, relu=False),
                ConvBn(coarse, fine, 1, relu=False),
                ConvBn(fine, detail_width, 1, relu=False),
            ]
        )
        self.up = nn.ModuleList(
            [
                Residual(coarse),
                Residual(fine),
                nn.Sequential(Residual(detail_width), Residual(detail_width)),
            ]
        )
        self.maps = nn.Conv2d(fine, N_LANDMARKS, 1)
        self.detail_maps = nn.Conv2d(detail_width, N_LANDMARKS, 1)
        self.gather = ConvBn(coarser, 16, 1)
        self.score = nn.Linear(16 * (REFINER_PX // 32) ** 2, 1)
        self.lean = nn.Sequential(
            ConvBn(coarser, 32, 1),
            nn.Flatten(),
            nn.Linear(32 * (REFINER_PX // 32) ** 2, 64),
            nn.ReLU(inplace=True),
            nn.Linear(64, 2 * N_LANDMARKS),
        )

    def forward(self, crops: Tensor) -> RefinerAnswers:
        """Look at crops, (K, 3, 160, 160) float RGB in [0, 1]."""
        mean = crops.mean((1, 2, 3), keepdim=True)
        spread = (crops - mean).square().mean((1, 2, 3), keepdim=True).sqrt()
        crops = (crops - mean) / (spread + 0.02)
        detail = self.detail(crops)
        features = [self.entry(F.avg_pool2d(crops, 2)) + self.detail_entry(detail)]
        for down in self.down:
            features.append(down(features[-1]))
        x = features[-1]
        logits = self.score(self.gather(x).flatten(1)).float()[:, 0]
        lean = self.lean(x).float().unflatten(1, (N_LANDMARKS, 2))
        for lift, up, skipped in zip(
            self.lift, self.up, (features[2], features[1], detail), strict=True
        ):
            coarse = x
            x = up(F.relu(skipped + F.interpolate(lift(x), scale_factor=2.0, mode="nearest")))
        maps = F.interpolate(self.maps(coarse), scale_factor=2.0, mode="bilinear")
        maps = (maps + self.detail_maps(x)).float()
        return RefinerAnswers(logits, mean_places(maps) + lean, maps)


def mean_places(maps: Tensor) -> Tensor:
    """(K, 5, 2) in pixels of the crop, from (K, 5, n, n) log-probabilities."""
    n = maps.shape[-1]
    step = REFINER_PX / n
    axis = (torch.arange(n, device=maps.device) + 0.5) * step - 0.5
    chance = maps.flatten(2).softmax(2).view_as(maps)
    return torch.stack([(chance.sum(2) * axis).sum(2), (chance.sum(3) * axis).sum(2)], 2)


REFINER_PX = 160
"""Side of the crops that `FaceRefiner` sees, a multiple of 32."""

REFINER_MARGIN = 1.6
"""Side of such a crop, in units of the face's size (square root of the box's area)."""

REFINER_ZOOMS = (1.2, 1 / 1.2)
"""Sides of a face's two crops, in units of `REFINER_MARGIN`. What a network says of a face depends
on its size; two sizes err in different ways, and their mean less than either."""


def refiner_frames(boxes: Tensor, landmarks: Tensor, zoom: float = 1.0) -> Tensor:
    """Where the crops for `FaceRefiner` lie in the image.

    A crop is centred on the landmarks' mean and turned so that the line from between the eyes to
    between the corners of the mouth, which survives a profile, points down.

    Args:
        boxes: (K, 4) as x0, y0, x1, y1.
        landmarks: (K, 5, 2).
        zoom: the crops' sides, in units of `REFINER_MARGIN`.

    Returns:
        (K, 2, 3) image from crop, pixel centres at integers in both.
    """
    size = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1).prod(1).sqrt()
    scale = size * REFINER_MARGIN * zoom / REFINER_PX
    down = landmarks[:, 3:].mean(1) - landmarks[:, :2].mean(1)
    down = F.normalize(down, dim=1) * scale[:, None]
    across = torch.stack([down[:, 1], -down[:, 0]], 1)
    linear = torch.stack([across, down], 2)
    middle = torch.full((2,), (REFINER_PX - 1) / 2, device=boxes.device)
    return torch.cat([linear, (landmarks.mean(1) - linear @ middle)[..., None]], 2)


def refiner_crops(image: Tensor, frames: Tensor) -> Tensor:
    """Cut crops out of one image, from a half-sized copy as often as they would alias.

    Args:
        image: (3, H, W) float, H and W divisible by 32.
        frames: (K, 2, 3) from `refiner_frames`.

    Returns:
        (K, 3, 160, 160); the image's border goes on outside of it.
    """
    axis = torch.arange(REFINER_PX, device=image.device, dtype=torch.float32)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    grid = torch.stack([x, y, torch.ones_like(x)], -1)
    level, crops = image[None], []
    halvings = frames[:, :, 0].norm(dim=1).clamp(min=1).log2().round().long().tolist()
    levels = {0: level}
    for number in range(1, max(halvings, default=0) + 1):
        level = F.avg_pool2d(level, 2) if number <= 5 else level
        levels[number] = level
    for frame, number in zip(frames, halvings, strict=True):
        source = levels[number]
        size = torch.tensor([image.shape[2], image.shape[1]], device=image.device)
        places = (grid @ frame.T + 0.5) / size * 2 - 1
        crops.append(
            F.grid_sample(source, places[None], padding_mode="border", align_corners=False)
        )
    return torch.cat(crops) if crops else image.new_zeros(0, 3, REFINER_PX, REFINER_PX)


def fold_batch_norms(network: CompactDetector) -> CompactDetector:
    """A copy in evaluation mode whose batch normalisations are part of the convolutions before
    them.
    """
    folded = copy.deepcopy(network).float().eval()
    for module in folded.modules():
        if isinstance(module, ConvBn):
            module[0], module[1] = _fused(module[0], module[1]), nn.Identity()
        elif isinstance(module, SharedConvBn):
            fused = [_fused(module.conv, norm) for norm in module.norms]
            module.conv, module.norms = nn.Identity(), nn.ModuleList(fused)
    return folded


def _fused(convolution: nn.Module, normalisation: nn.Module) -> nn.Conv2d:
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(normalisation, nn.BatchNorm2d)
    return fuse_conv_bn_eval(convolution, normalisation)
