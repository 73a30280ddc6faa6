"""The networks of a run, and how a worker loads those that a job names."""

from __future__ import annotations

from dataclasses import dataclass

from vidrestore.config import RestoreConfig
from vidrestore.models.interfaces import FaceDetector, FaceRestorer, RestorerRun
from vidrestore.models.load import load_detector, load_restorer, resolve_device
from vidrestore.models.parsing import FaceParser, load_parser
from vidrestore.models.runners.runner import RunnerFacts

__all__ = ["Networks", "load_networks"]


@dataclass(frozen=True, slots=True)
class Networks:
    """What a run restores with."""

    detector: FaceDetector
    restorer: FaceRestorer
    run: RestorerRun
    parser: FaceParser | None

    def facts(self) -> dict[str, RunnerFacts]:
        """What computes restorer and detector, as far as they say so: others' own may not."""
        both = {"restorer": self.restorer, "detector": self.detector}
        told = {name: getattr(one, "facts", None) for name, one in both.items()}
        return {name: facts for name, facts in told.items() if isinstance(facts, RunnerFacts)}

    def told_facts(self) -> dict[str, dict[str, str]]:
        """The same in plain values, as reports have it."""
        return {name: facts._asdict() for name, facts in self.facts().items()}

    def new_run(self, config: RestoreConfig) -> RestorerRun:
        """A run with an empty memory."""
        return self.restorer.start_run(
            noise=config.restore.noise, style_strength=config.temporal_filter.strength
        )


def load_networks(config: RestoreConfig) -> Networks:
    """Load what a configuration names.

    Raises:
        VidRestoreError: for weights and models.
    """
    device, stage = resolve_device(config.run.device), config.restore
    restorer = load_restorer(
        stage.model,
        device=device,
        precision=stage.precision,
        batch_size=stage.batch_size,
        backend=stage.backend,
        template=stage.template,
        value_range=stage.value_range,
        channels=stage.channels,
    )
    parser = None
    if config.blend.mask == "parsing":
        parser = load_parser(config.blend.parser, device=device)
    run = restorer.start_run(noise=stage.noise, style_strength=config.temporal_filter.strength)
    detector = load_detector(config.detect.detector, device=device, backend=config.detect.backend)
    return Networks(detector, restorer, run, parser)
