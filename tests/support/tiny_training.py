"""Training configurations small enough to run in a test: 32 px, narrow networks, few steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidrestore.training.config import TrainingConfig
from vidrestore.training.config_files import TRAINING_CONFIGS, parse_training_config

SIZE = 32
REPORT = {
    "log_every_steps": 2,
    "validate_every_steps": 3,
    "samples_every_steps": 1000,
    "save_every_steps": 1000,
    "held_out_faces": 1,
    "sample_faces": 1,
}
DISCRIMINATOR = {"narrow": 0.03125, "minibatch_stddev": False}
LAZY = {"r1_every_steps": 4}
LAZY_PATH = {**LAZY, "path_length_every_steps": 2}

TINY: dict[str, dict[str, Any]] = {
    "stylegan2_prior": {
        "network": {"out_size": SIZE, "num_style_feat": 16, "num_mlp": 2, "narrow": 0.03125},
        "discriminator": DISCRIMINATOR,
        "losses": LAZY_PATH,
        "augment": {"kind": "ada", "ada_speed_images": 200, "ada_every_steps": 2},
        "steps": 5,
        "batch_size": 2,
    },
    "gfpgan": {
        "network": {
            "arch": "GFPGANv1Clean",
            "out_size": SIZE,
            "num_style_feat": 16,
            "narrow": 0.0625,
            "num_mlp": 2,
        },
        "discriminator": DISCRIMINATOR,
        "component_width": 4,
        "train_decoder": True,
        "degradation": "super_resolution_x4",
        "losses": {**LAZY, "pyramid_until_step": 4, "features": "identity"},
        "steps": 5,
        "batch_size": 2,
    },
    "gpen": {
        "network": {"size": SIZE, "style_dim": 16, "n_mlp": 2, "narrow": 0.03125},
        "discriminator": DISCRIMINATOR,
        "degradation": "super_resolution_x4",
        "losses": LAZY_PATH,
        "steps": 5,
        "batch_size": 2,
    },
    "compact_generator": {
        "network": {"widths": [8, 16], "patch": 2},
        "discriminator": {"width": 4, "levels": 2},
        "stages": [
            {"images": 4, "batch_size": 2, "window": 16},
            {
                "images": 6,
                "batch_size": 2,
                "window": SIZE,
                "identity_weight": 0.1,
                "feature_weight": 0.1,
                "adversarial_weight": 0.1,
                "feature_matching_weight": 0.1,
            },
        ],
    },
    "compact_detector": {
        "network": {"widths": [4, 8, 8, 8, 8, 8], "blocks": [1, 1, 1, 1, 1], "neck_width": 8},
        "stages": [
            {"network": "cells", "images": 4, "batch_size": 2, "scene_px": 64},
            {"network": "refiner", "images": 6, "batch_size": 2, "bfloat16_share": 0.5},
        ],
    },
}


def tiny_config(task: str, identity: Path | None = None, **changes: Any) -> TrainingConfig:
    """A configuration of 5 steps; a dictionary in `changes` changes a part of it."""
    content = {"task": task, "data": {"size_px": SIZE}, "report": REPORT, **TINY[task]}
    content["weights"] = {"identity": identity}
    for name, value in changes.items():
        old = content.get(name)
        content[name] = {**old, **value} if isinstance(value, dict) and old else value
    return parse_training_config(TRAINING_CONFIGS[task], content, "test")
