"""Detectors that are small enough to build and train in a test."""

import torch
from torch import nn

from vott_trainer.vision import detectors
from vott_trainer.vision.rf_detr import Detr, rf_detr

HEADS = detectors.DETECTORS["fcos_tiny"].heads
TINY_BACKBONE = {
    "hidden_size": 24,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "out_features": ["stage1", "stage4"],
}


def tiny_fcos(seed: int, *labels: str) -> nn.Module:
    """An fcos_tiny with weights from `seed`; its heads are HEADS."""
    torch.manual_seed(seed)
    return detectors.build("fcos_tiny", len(labels), 96)


def tiny_detr(labels: int) -> Detr:
    """An RF-DETR of two layers."""
    return rf_detr(
        labels + 1, 96, layers=2, native_size=384, backbone=TINY_BACKBONE, d_model=32, decoder_ffn_dim=64, group_detr=2
    )


def equal_weights(one: nn.Module, other: nn.Module) -> bool:
    """Whether two networks have equal weights, bit for bit."""
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))
