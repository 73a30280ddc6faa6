"""Everything a run needs to know: the options of all stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidrestore.config.align import AlignConfig
from vidrestore.config.blend import BlendConfig
from vidrestore.config.decode import DecodeConfig
from vidrestore.config.detect import DetectConfig
from vidrestore.config.encode import EncodeConfig, sound_file
from vidrestore.config.gate import GateConfig
from vidrestore.config.job import JobConfig
from vidrestore.config.restore import RestoreStageConfig
from vidrestore.config.run import RunConfig
from vidrestore.config.stage import StageConfig
from vidrestore.config.temporal_filter import TemporalFilterConfig
from vidrestore.config.track import TrackConfig
from vidrestore.runtime.printable import well_formed_record

__all__ = ["RestoreConfig", "dotted_fields", "input_files"]


class RestoreConfig(StageConfig):
    """Everything a run needs to know."""

    decode: DecodeConfig = DecodeConfig()
    detect: DetectConfig = DetectConfig()
    track: TrackConfig = TrackConfig()
    align: AlignConfig = AlignConfig()
    gate: GateConfig = GateConfig()
    restore: RestoreStageConfig = RestoreStageConfig()
    temporal_filter: TemporalFilterConfig = TemporalFilterConfig()
    blend: BlendConfig = BlendConfig()
    encode: EncodeConfig = EncodeConfig()
    run: RunConfig = RunConfig()
    job: JobConfig = JobConfig()

    def record(self) -> dict[str, Any]:
        """All options as plain values, for JSON and YAML: valid UTF-8 whatever files are called."""
        record: dict[str, Any] = well_formed_record(self.model_dump(mode="json"))
        return record


def dotted_fields() -> dict[str, tuple[type[StageConfig], str]]:
    """Every option as {'stage.field': (stage's model, field name)}, in the order of the stages."""
    stages = {
        name: type(stage) for name, stage in RestoreConfig() if isinstance(stage, StageConfig)
    }
    return {
        f"{name}.{field}": (stage, field)
        for name, stage in stages.items()
        for field in stage.model_fields
    }


def input_files(src: str | Path, config: RestoreConfig) -> list[Path]:
    """The files that a run reads: the video, tracks, and weights given by their paths."""
    named = [config.restore.model, config.detect.detector]
    named += [config.blend.parser] if config.blend.mask == "parsing" else []
    files = [Path(src), *([config.track.file] if config.track.file else [])]
    sound = sound_file(config.encode)
    files += [] if sound is None else [sound]
    return [*files, *(Path(name) for name in named if Path(name).is_file())]
