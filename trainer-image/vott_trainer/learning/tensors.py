"""Batches of any structure: change all tensors in lists, tuples, dicts and dataclasses."""

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from vott_trainer.plugin_api import Batch


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move a batch."""
    return map_tensors(batch, lambda tensor: tensor.to(device, non_blocking=True))


def pinned(batch: Batch) -> Batch:
    """Copy a batch to pinned memory, from which copies to a GPU are fast."""
    return map_tensors(batch, Tensor.pin_memory)


def map_tensors(value: Any, change: Callable[[Tensor], Any]) -> Any:
    """Return `value` with every tensor in it changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: map_tensors(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [map_tensors(item, change) for item in value]
    if isinstance(value, tuple):
        changed = [map_tensors(item, change) for item in value]
        return type(value)(*changed) if hasattr(value, "_fields") else tuple(changed)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **{name: map_tensors(item, change) for name, item in fields.items()})
    return value
