"""Small ONNX files: networks that invert pictures, of any shape, number format and metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

__all__ = ["write_onnx"]

Shape = Sequence[int | str]


def write_onnx(
    path: Path,
    *,
    shape: Shape = ("n", 3, 32, 32),
    output_shape: Shape | None = None,
    is_float16: bool = False,
    metadata: Mapping[str, str] | None = None,
    white: float = 0.0,
    n_inputs: int = 1,
    external: str | None = None,
) -> Path:
    """Write a network that gives `white - x`.

    Args:
        path: the file.
        shape: of its input; a text stands for any number.
        output_shape: of its output as declared; None for that of the input.
        is_float16: whether it takes and gives float16 instead of float32.
        metadata: what the file says about itself.
        white: from what the input is subtracted.
        n_inputs: how many inputs it has; all but the first do nothing.
        external: name of another file that the weights are said to be in.
    """
    kind = TensorProto.FLOAT16 if is_float16 else TensorProto.FLOAT
    weight = numpy_helper.from_array(
        np.array([white], np.float16 if is_float16 else np.float32), "white"
    )
    if external is not None:
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        weight.external_data.add(key="location", value=external)
    names = ["input", *(f"other{number}" for number in range(1, n_inputs))]
    nodes = [helper.make_node("Sub", ["white", "input"], ["output"])]
    nodes += [helper.make_node("Identity", [name], [f"{name}_out"]) for name in names[1:]]
    graph = helper.make_graph(
        nodes,
        "inverting",
        [helper.make_tensor_value_info(name, kind, list(shape)) for name in names],
        [helper.make_tensor_value_info("output", kind, list(output_shape or shape))]
        + [helper.make_tensor_value_info(f"{n}_out", kind, list(shape)) for n in names[1:]],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, dict(metadata or {}))
    path.write_bytes(model.SerializeToString())
    return path
