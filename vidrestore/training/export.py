"""From a training checkpoint to files that are used: safetensors, and ONNX.

The safetensors file says what network it holds, how it was trained and how well it did, so
`vidrestore IN OUT --model FILE` (`--detector FILE`) runs it as it is. The ONNX file takes and gives
RGB in [-1, 1], (N, 3, S, S), and is compared with torch before it gets its name. That of a detector
holds its two networks side by side: scenes, (N, 3, S, S) RGB in [0, 1], give logits, boxes and
landmarks of all cells; crops, (N, 3, 160, 160), give a logit and landmarks each.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from vidrestore.errors import DataError, ModelError
from vidrestore.models.nets.compact_detector import REFINER_PX, CompactDetector
from vidrestore.models.registry import build
from vidrestore.models.templates import NAMES_IN_FILES
from vidrestore.models.weights.quantization import quantize
from vidrestore.runtime.extras import require_extra
from vidrestore.runtime.output_file import OutputFile
from vidrestore.training.checkpoint import TrainingState, read_checkpoint
from vidrestore.training.config import TrainingConfig
from vidrestore.training.config_files import TRAINING_CONFIGS, parse_training_config
from vidrestore.training.inputs import require_exportable
from vidrestore.training.tasks.task import load_weights

__all__ = ["ONNX_TOLERANCE", "export", "export_onnx", "export_safetensors"]

ONNX_TOLERANCE = 1e-4
"""Most absolute difference to torch in float32, the range being 2."""

_OPSET = 18
_DETECTOR_OUTPUTS = ("logits", "boxes", "landmarks", "crop_logits", "crop_landmarks")
_logger = logging.getLogger(__name__)


def export(
    checkpoint: Path,
    destination: Path,
    *,
    precision: Literal["float16", "float32"] = "float32",
    blend: tuple[Path, float] | None = None,
    overwrite: bool = False,
) -> dict[str, str]:
    """Write a checkpoint's running average in the format that the destination's ending names.

    Args:
        checkpoint: what `vidrestore train` wrote.
        destination: ``.safetensors`` or ``.onnx``; written whole.
        precision: of the numbers in a safetensors file; ONNX is float32, and a detector is stored
            in eight bits, see `vidrestore.models.weights.quantization`.
        blend: weights that the checkpoint's training began with, and their share of the mean that
            is written: between a network of pixel losses and the same after adversarial training
            lies a scale from soft to sharp (ESRGAN, Wang et al., arXiv:1809.00219, section 3.4).
        overwrite: whether a file of that name is replaced.

    Returns:
        What the file says of itself.

    Raises:
        DataError: the checkpoint cannot be used, or the ending is another.
        ModelError: the ONNX file does not compute what torch does.
        NotAvailableError: a package for ONNX is not installed.
        VideoWriteError: the destination exists, is an input, or cannot be written.
    """
    other = blend[0] if blend else None
    require_exportable(checkpoint, destination, other, overwrite=overwrite)
    found = read_checkpoint(checkpoint)
    _require_finite(checkpoint, found.state["average"])
    if found.config.get("stage") == "prior":
        raise DataError(
            f"checkpoint {checkpoint}: of GPEN's first stage, whose encoder has learnt nothing "
            "yet; name it as `prior` in a configuration of the stage `embedded`"
        )
    metadata = _metadata(found)
    if blend is not None:
        found = _blend(found, *blend)
        del metadata["metrics"]  # They are of the checkpoint, not of the mean.
        metadata |= {"blended_with": blend[0].name, "blended_share": f"{blend[1]:g}"}
    inputs = [checkpoint, *([other] if other else [])]
    with OutputFile(destination, inputs=inputs, overwrite=overwrite) as output:
        if destination.suffix == ".onnx":
            export_onnx(found, output.temporary, metadata)
        else:
            export_safetensors(found, output.temporary, metadata, precision)
        output.temporary.chmod(0o644)  # Written for its owner alone; weights are for everybody.
        output.publish()
    return metadata


def _require_finite(checkpoint: Path, weights: Mapping[str, Tensor]) -> None:
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise DataError(
                f"checkpoint {checkpoint}: {name} is not finite: the training had diverged; export "
                "an earlier one, such as best.pt"
            )


def _blend(found: TrainingState, other: Path, share: float) -> TrainingState:
    """A checkpoint whose running average is the mean of its own and other weights."""
    if not 0 <= share <= 1:
        raise DataError(f"blend: the share must lie between 0 and 1, got {share}")
    config = _config(found)
    network = build(config.arch, **config.hyperparameters)
    load_weights(network, other, arch=config.arch)
    theirs = network.state_dict()
    mean = {
        name: torch.lerp(value.float(), theirs[name].float(), share).to(value.dtype)
        for name, value in found.state["average"].items()
    }
    return replace(found, state={**found.state, "average": mean})


def export_safetensors(
    found: TrainingState,
    destination: Path,
    metadata: dict[str, str],
    precision: Literal["float16", "float32"],
) -> None:
    """Write weights and metadata to an empty file; see `export`."""
    from safetensors.torch import save_file

    state = found.state["average"]
    if found.task == "compact_detector":
        state = quantize(state)
    else:
        dtype = torch.float16 if precision == "float16" else torch.float32
        state = {
            name: (value.to(dtype) if value.is_floating_point() else value).contiguous().clone()
            for name, value in state.items()
        }
    save_file(state, destination, metadata)


def export_onnx(found: TrainingState, destination: Path, metadata: dict[str, str]) -> None:
    """Write a network to an empty file and compare; see `export`."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        require_extra(package, "export")
    import onnx

    config = _config(found)
    network = build(config.arch, **config.hyperparameters).eval().requires_grad_(False)
    network.load_state_dict(found.state["average"])
    examples = _examples(config)
    if isinstance(network, CompactDetector):
        network = _WholeDetector(network)
    _write_onnx(network, examples, destination)
    model = onnx.load(destination)
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, destination)
    difference = _compare(network, examples, destination)
    if not difference <= ONNX_TOLERANCE:  # Not a number is no agreement.
        raise ModelError(
            f"the ONNX file differs from torch by {difference:.2g}, more than "
            f"{ONNX_TOLERANCE:.0e}; not written"
        )
    _logger.info("the ONNX file differs from torch by %.2g at most", difference)


class _WholeDetector(nn.Module):
    """A detector's cells and refiner as one network."""

    def __init__(self, network: CompactDetector) -> None:
        super().__init__()
        self.network = network

    def forward(self, scenes: Tensor, crops: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, S, S) and (N, 3, 160, 160) in [0, 1]."""
        return (*self.network(scenes), *self.network.refiner(crops)[:2])


def _write_onnx(network: nn.Module, examples: Mapping[str, Tensor], path: Path) -> None:
    batch = torch.export.Dim("batch", min=1, max=64)
    quiet = io.StringIO()
    outputs = _DETECTOR_OUTPUTS if isinstance(network, _WholeDetector) else ("output",)
    with warnings.catch_warnings(), contextlib.redirect_stdout(quiet):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            tuple(examples.values()),
            str(path),
            input_names=list(examples),
            output_names=list(outputs),
            dynamic_shapes=tuple({0: batch} for _ in examples),
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _compare(network: nn.Module, examples: Mapping[str, Tensor], path: Path) -> float:
    """Largest difference between the file and the network, for one picture and for two; that of
    places in pixels counts in units of a hundred.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    worst = 0.0
    for count in (1, 2):
        given = {name: value[:count] for name, value in examples.items()}
        with torch.no_grad():
            wanted = network(*given.values())
        found = session.run(None, {name: value.numpy() for name, value in given.items()})
        for one, other in zip(
            found, (wanted,) if isinstance(wanted, Tensor) else wanted, strict=True
        ):
            unit = 100.0 if isinstance(network, _WholeDetector) and one.ndim > 2 else 1.0
            worst = float(np.maximum(worst, np.abs(one - other.numpy()).max() / unit))
    return worst


def _metadata(found: TrainingState) -> dict[str, str]:
    config = _config(found)
    return {
        "arch": config.arch,
        "hyperparameters": json.dumps(config.hyperparameters, sort_keys=True),
        "size": str(config.data.size_px),
        "template": NAMES_IN_FILES[config.data.template],
        "value_range": "0,1" if config.task == "compact_detector" else "-1,1",
        "channels": "rgb",
        "task": config.task,
        "images_seen": str(found.images),
        "metrics": json.dumps(_round(found.metrics), sort_keys=True),
        "config": json.dumps(_strip_folders(config.model_dump()), sort_keys=True),
    }


def _config(found: TrainingState) -> TrainingConfig:
    if found.task not in TRAINING_CONFIGS:
        raise DataError(f"checkpoint: of an unknown task {found.task!r}")
    return parse_training_config(
        TRAINING_CONFIGS[found.task], found.config, "configuration of the checkpoint"
    )


def _examples(config: TrainingConfig) -> dict[str, Tensor]:
    """Two inputs of the network, by their names in the file; always the same."""
    source = np.random.default_rng(0)
    if config.task == "stylegan2_prior":
        length = int(config.hyperparameters.get("num_style_feat", 512))
        return {"input": torch.from_numpy(source.standard_normal((2, length), dtype=np.float32))}
    shapes = {"input": config.data.size_px}
    if config.task == "compact_detector":
        shapes = {"scenes": config.data.size_px, "crops": REFINER_PX}
    pictures = {
        name: torch.from_numpy(source.random((2, 3, px, px), dtype=np.float32))
        for name, px in shapes.items()
    }
    if config.task == "compact_detector":
        return pictures
    return {name: picture * 2 - 1 for name, picture in pictures.items()}


def _strip_folders(value: Any) -> Any:
    """Files by their names alone: where they lay is nobody's business."""
    if isinstance(value, dict):
        return {name: _strip_folders(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strip_folders(part) for part in value]
    return value.name if isinstance(value, Path) else value


def _round(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.5g}") for name, value in metrics.items()}
