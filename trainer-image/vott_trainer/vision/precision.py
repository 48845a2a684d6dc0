"""Parts that compute in float32 although autocast computes the rest in bfloat16 or float16: anchors, boxes, scores and losses."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def keep_boxes_in_float32(model: nn.Module) -> nn.Module:
    """Compute anchors and outputs of a torchvision detector in float32.

    torchvision gives anchors the precision of the features, and bfloat16 places a box at 800 pixels only to within some pixels.
    """
    for name, module in model.named_modules():
        last = name.rpartition(".")[2]
        if last == "anchor_generator":
            module.register_forward_pre_hook(
                lambda _module, args: (args[0], [features.float() for features in args[1]])
            )
        elif last in ("head", "box_predictor"):
            module.register_forward_hook(lambda _module, _args, output: _in_float32(output))
    return model


def in_float32(loss: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a loss function, to compute in float32 whatever precision the network computes in."""

    def wrapped(logits: Tensor, *rest: Any, **named: Any) -> Any:
        with torch.autocast(logits.device.type, enabled=False):
            floats = {name: _float(value) for name, value in named.items()}
            return loss(*(_float(value) for value in (logits, *rest)), **floats)

    return wrapped


def _in_float32(output: Any) -> Any:
    if isinstance(output, Tensor):
        return output.float()
    if isinstance(output, dict):
        return {name: _in_float32(value) for name, value in output.items()}
    return type(output)(_in_float32(value) for value in output)


def _float(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value
