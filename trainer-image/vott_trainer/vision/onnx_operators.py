"""Operators that torch's TorchScript exporter lacks although ONNX has them since opset 18: resizing with antialias.

RF-DETR needs them. https://onnx.ai/onnx/operators/onnx__Resize.html
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.onnx import symbolic_helper
from torch.onnx.utils import register_custom_op_symbolic

_CUBIC = {"mode_s": "cubic", "cubic_coeff_a_f": -0.5}  # PyTorch's coefficient with antialias
_LINEAR = {"mode_s": "linear"}


def register(opset: int) -> None:
    """Register the operators with the exporter, from `opset` on."""
    register_custom_op_symbolic("aten::_upsample_bicubic2d_aa", _resize(_CUBIC), opset)
    register_custom_op_symbolic("aten::_upsample_bilinear2d_aa", _resize(_LINEAR), opset)


def _resize(mode: dict[str, Any]) -> Callable[..., Any]:
    def symbolic(graph: Any, images: Any, size: Any, _align_corners: Any, *_scales: Any) -> Any:
        nothing = graph.op("Constant", value_t=torch.tensor([], dtype=torch.float32))
        sizes = graph.op("Concat", _images_and_channels(graph, images), _as_tensor(graph, size), axis_i=0)
        options = {"antialias_i": 1, "exclude_outside_i": 1, "coordinate_transformation_mode_s": "half_pixel"}
        return graph.op("Resize", images, nothing, nothing, sizes, **options, **mode)

    return symbolic


def _images_and_channels(graph: Any, images: Any) -> Any:
    shape = graph.op("Shape", images)
    return symbolic_helper._slice_helper(graph, shape, axes=[0], starts=[0], ends=[2])


def _as_tensor(graph: Any, size: Any) -> Any:
    """Return height and width as an int64 tensor; the trace has them as constants or as separate numbers."""
    if symbolic_helper._is_packed_list(size):
        numbers = [symbolic_helper._unsqueeze_helper(graph, one, [0]) for one in symbolic_helper._unpack_list(size)]
        size = graph.op("Concat", *numbers, axis_i=0)
    return graph.op("Cast", size, to_i=7)  # int64
