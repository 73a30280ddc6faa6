"""Options of every stage: one frozen model and one file a stage, composed in `RestoreConfig`.

Each field has one dotted name, the same in Python, YAML (`configs/*.yaml`) and on the command line
(`track.max_gap_frames` is `--track.max-gap-frames`, and stands in `track.py`). Defaults are written
there and nowhere else. `resolve_config` makes a configuration of presets and single options.
"""

from __future__ import annotations

from vidrestore.config.align import AlignConfig
from vidrestore.config.blend import BlendConfig
from vidrestore.config.decode import DecodeConfig
from vidrestore.config.detect import DetectConfig
from vidrestore.config.encode import EncodeConfig, sound_file
from vidrestore.config.gate import GateConfig
from vidrestore.config.job import JobConfig
from vidrestore.config.resolve import (
    PER_FRAME,
    ConfigLike,
    find_preset,
    load_config,
    resolve_config,
)
from vidrestore.config.restore import RestoreStageConfig
from vidrestore.config.restore_config import RestoreConfig, dotted_fields, input_files
from vidrestore.config.run import RunConfig
from vidrestore.config.temporal_filter import TemporalFilterConfig
from vidrestore.config.track import TrackConfig

__all__ = [
    "PER_FRAME",
    "AlignConfig",
    "BlendConfig",
    "ConfigLike",
    "DecodeConfig",
    "DetectConfig",
    "EncodeConfig",
    "GateConfig",
    "JobConfig",
    "RestoreConfig",
    "RestoreStageConfig",
    "RunConfig",
    "TemporalFilterConfig",
    "TrackConfig",
    "dotted_fields",
    "find_preset",
    "input_files",
    "load_config",
    "resolve_config",
    "sound_file",
]
