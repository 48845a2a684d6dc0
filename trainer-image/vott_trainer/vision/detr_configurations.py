"""Configurations of RF-DETR and D-FINE for `transformers`, as their published weights need them.

Data only: the image's build reads this file before the trainer is installed (bake_weights.py).
RF-DETR: the variants under the Apache licence, https://github.com/roboflow/rf-detr/blob/develop/src/rfdetr/config.py.
D-FINE: https://github.com/Peterande/D-FINE/tree/master/configs/dfine.
"""

from collections.abc import Mapping
from typing import Any

Configuration = Mapping[str, Any]

PATCH, WINDOWS = 16, 2  # RF-DETR's backbone takes patches of 16 x 16 pixels, in 2 x 2 windows


def _rf_detr(layers: int, side: int) -> Configuration:
    """Return a configuration with position embeddings for squares of `side` pixels."""
    backbone = {
        "model_type": "rf_detr_dinov2",
        "image_size": side,
        "hidden_size": 384,
        "num_hidden_layers": 12,
        "num_attention_heads": 6,
        "patch_size": PATCH,
        "num_windows": WINDOWS,
        "out_features": ["stage3", "stage6", "stage9", "stage12"],
        "use_mask_token": False,  # nosec B105 # for pre-training only
    }
    return {
        "backbone_config": backbone,
        "d_model": 256,
        "num_queries": 300,
        "decoder_n_points": 2,
        "decoder_layers": layers,
    }


def _hgnet_b0(stages: list[int]) -> dict[str, Any]:
    """Return the configuration of the smallest HGNetV2, with the feature maps after these stages."""
    return {
        "model_type": "hgnet_v2",
        "stem_channels": [3, 16, 16],
        "stage_in_channels": [16, 64, 256, 512],
        "stage_mid_channels": [16, 32, 64, 128],
        "stage_out_channels": [64, 256, 512, 1024],
        "hidden_sizes": [64, 256, 512, 1024],
        "stage_num_blocks": [1, 1, 2, 1],
        "stage_numb_of_layers": [3, 3, 3, 3],
        "use_learnable_affine_block": True,
        "out_indices": stages,
    }


D_FINE_SHARED = {
    "decoder_layers": 3,
    "initializer_bias_prior_prob": 0.01,  # as in the authors' network; else random classes begin with high scores everywhere
    "freeze_backbone_batch_norms": False,  # `detectors.build` freezes those of all parts, if there are trained weights
}
D_FINE_NANO = {
    **D_FINE_SHARED,
    "backbone_config": _hgnet_b0([3, 4]),
    "encoder_in_channels": [512, 1024],
    "feat_strides": [16, 32],
    "num_feature_levels": 2,
    "encode_proj_layers": [1],
    "encoder_hidden_dim": 128,
    "encoder_ffn_dim": 512,
    "hidden_expansion": 0.34,
    "depth_mult": 0.5,
    "d_model": 128,
    "decoder_in_channels": [128, 128],
    "decoder_ffn_dim": 512,
    "decoder_n_points": [6, 6],
}
D_FINE_SMALL = {
    **D_FINE_SHARED,
    "backbone_config": _hgnet_b0([2, 3, 4]),
    "encoder_in_channels": [256, 512, 1024],
    "hidden_expansion": 0.5,
    "depth_mult": 0.34,
    "decoder_n_points": [3, 6, 3],
}

RF_DETR: dict[str, Configuration] = {
    "rf_detr_nano": _rf_detr(layers=2, side=384),
    "rf_detr_small": _rf_detr(layers=3, side=512),
    "rf_detr_medium": _rf_detr(layers=4, side=576),
    "rf_detr_large": _rf_detr(layers=4, side=704),
}
D_FINE: dict[str, Configuration] = {"d_fine_nano": D_FINE_NANO, "d_fine_small": D_FINE_SMALL}
