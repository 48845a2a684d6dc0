"""RF-DETR and D-FINE with so few weights that a test can train them; else as they are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from unittest.mock import patch

import torch
from torch import nn

from vott_trainer.vision.detectors import build
from vott_trainer.vision.detr_configurations import D_FINE, RF_DETR, Configuration

Model = TypeVar("Model", bound=nn.Module)

NAMES = ("rf_detr_nano", "d_fine_nano")
RF_DETR_BACKBONE = {
    "hidden_size": 24,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "out_features": ["stage1", "stage4"],
}
RF_DETR_PARTS = {"d_model": 32, "decoder_ffn_dim": 64, "group_detr": 2}
D_FINE_BACKBONE = {
    "stem_channels": [3, 4, 4],
    "stage_in_channels": [4, 8, 8, 8],
    "stage_mid_channels": [4, 4, 4, 4],
    "stage_out_channels": [8, 8, 8, 8],
    "hidden_sizes": [8, 8, 8, 8],
    "stage_num_blocks": [1, 1, 1, 1],
    "stage_numb_of_layers": [1, 1, 1, 1],
}
D_FINE_PARTS = {
    "encoder_in_channels": [8, 8],
    "encoder_hidden_dim": 16,
    "encoder_ffn_dim": 16,
    "encoder_attention_heads": 2,
    "d_model": 16,
    "decoder_in_channels": [16, 16],
    "decoder_ffn_dim": 16,
    "decoder_attention_heads": 2,
    "decoder_layers": 2,
}


def tiny_configuration(name: str, **changes: Any) -> Configuration:
    """The configuration of one of NAMES, with few channels and layers."""
    if name in RF_DETR:
        return _changed(RF_DETR[name], RF_DETR_BACKBONE, RF_DETR_PARTS | changes)
    return _changed(D_FINE[name], D_FINE_BACKBONE, D_FINE_PARTS | changes)


@contextmanager
def tiny_detrs(**changes: Any) -> Iterator[None]:
    """Build tiny networks under NAMES."""
    of_rf_detr, of_d_fine = ({name: tiny_configuration(name, **changes)} for name in NAMES)
    with patch.dict(RF_DETR, of_rf_detr), patch.dict(D_FINE, of_d_fine):
        yield


def tiny_detr(name: str, labels: int, *, image_size: int = 96, pretrained: bool = False, **changes: Any) -> Any:
    """Build one of NAMES, tiny, with the same random weights each time."""
    torch.manual_seed(0)
    with tiny_detrs(**changes):
        return build(name, labels, image_size, pretrained=pretrained)


def randomized(model: Model) -> Model:
    """Add noise to all weights, so that classes and boxes differ."""
    with torch.no_grad():
        for weights in model.parameters():
            weights.add_(0.05 * torch.randn_like(weights))
    return model


def _changed(configuration: Configuration, backbone: Configuration, parts: Configuration) -> Configuration:
    return {**configuration, "backbone_config": {**configuration["backbone_config"], **backbone}, **parts}
