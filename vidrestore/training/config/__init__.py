"""Training configurations: YAML that decides all of a run but the data and the machine.

`task` says what is trained and with it which class the file must fit: each task's stands in the
file of its name. The defaults are the papers' values (Karras et al., arXiv:1912.04958; Wang et al.,
arXiv:2101.04061; Yang et al., arXiv:2105.06070). Every loss term is a weight, and 0 switches it
off: it is not computed.

Lengths are in steps of the optimiser, or where a configuration has stages in images. All counters
follow from one, the number of images seen.
"""

from __future__ import annotations

from vidrestore.training.config.augment import AugmentConfig
from vidrestore.training.config.compact_detector import CompactDetectorConfig, DetectorStage
from vidrestore.training.config.compact_generator import CompactGeneratorConfig, GeneratorStage
from vidrestore.training.config.gfpgan import GFPGANConfig, GFPGANLosses
from vidrestore.training.config.gpen import GPENConfig, GPENLosses
from vidrestore.training.config.steps import ScheduleConfig
from vidrestore.training.config.stylegan2_prior import PriorLosses, StyleGAN2PriorConfig
from vidrestore.training.config.training_config import (
    DataConfig,
    ReportConfig,
    TermFiles,
    TrainingConfig,
)

__all__ = [
    "AugmentConfig",
    "CompactDetectorConfig",
    "CompactGeneratorConfig",
    "DataConfig",
    "DetectorStage",
    "GFPGANConfig",
    "GFPGANLosses",
    "GPENConfig",
    "GPENLosses",
    "GeneratorStage",
    "PriorLosses",
    "ReportConfig",
    "ScheduleConfig",
    "StyleGAN2PriorConfig",
    "TermFiles",
    "TrainingConfig",
]
