"""A training as it runs: its files, its means since the last report, and when what is due."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from vidrestore.errors import DataError
from vidrestore.runtime.output_file import write_whole
from vidrestore.training.checkpoint import TrainingState, read_checkpoint, write_checkpoint
from vidrestore.training.config import TrainingConfig
from vidrestore.training.distributed import Distributed
from vidrestore.training.resume import require_same
from vidrestore.training.run_folder import CONFIG, LAST, config_text
from vidrestore.training.tasks.task import Counters, Stage, Task

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

__all__ = ["TrainingProgress", "TrainingRun"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingProgress:
    """What a run says after every step."""

    images: int
    """Images seen."""
    total: int
    """Images of the whole training."""
    images_per_s: float
    """Since this run began, or resumed."""
    terms: Mapping[str, float]
    """Means of the loss terms since the last report, empty between reports."""

    @property
    def seconds_left(self) -> float | None:
        """Until the end; None before the speed is known."""
        return (self.total - self.images) / self.images_per_s if self.images_per_s > 0 else None


@dataclass
class TrainingRun:
    """The files of a run, its means since the last report, and when what is due."""

    config: TrainingConfig
    task: Task
    distributed: Distributed
    out: Path
    total: int = 0
    """Images of the whole training."""
    n_stages: int = 0
    images: int = 0
    best: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    writer: SummaryWriter | None = None
    began: float = field(default_factory=time.monotonic)
    began_at: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    saved_at: int = -1

    @property
    def last(self) -> Path:
        """The checkpoint that a run goes on from."""
        return self.out / LAST

    def load(self) -> None:
        """Go on from the last checkpoint, if there is one."""
        if self.last.exists():
            self._load(self.last)
        else:
            _logger.warning("%s holds no training to go on with: it begins anew", self.out)

    def begin(self, stages: Sequence[Stage]) -> None:
        """Open the files."""
        self.total = sum(stage.images for stage in stages)
        self.n_stages = len(stages)
        self.distributed.wait()
        self.began, self.began_at = time.monotonic(), self.images
        if self.distributed.is_main:
            from torch.utils.tensorboard.writer import SummaryWriter

            write_whole(self.out / CONFIG, config_text(self.config).encode(), overwrite=True)
            self.writer = SummaryWriter(str(self.out), purge_step=self.images or None)

    def after_step(
        self,
        counters: Counters,
        stage: Stage,
        terms: Mapping[str, Tensor],
        progress: Callable[[TrainingProgress], None] | None,
    ) -> None:
        """Count, and do what is due."""
        self.images = counters.images + stage.batch_size
        for name, value in terms.items():
            number = float(value.detach())
            if not math.isfinite(number):
                raise DataError(
                    f"training {self.out}: it has diverged: the term {name} is {number} in step "
                    f"{counters.step + 1}; lower the learning rate, and begin anew or go on from "
                    "the last checkpoint"
                )
            self.sums[name] = self.sums.get(name, 0.0) + number
            self.counts[name] = self.counts.get(name, 0) + 1
        report, step, end = self.config.report, counters.step + 1, self.images >= self.total
        means: dict[str, float] = {}
        if end or step % report.log_every_steps == 0:
            means = self._log(step, counters)
        if end or step % report.validate_every_steps == 0:
            self._validate()
        if self.writer is not None and (end or step % report.samples_every_steps == 0):
            self.writer.add_image("samples", self.task.sample_grid(), self.images)
        if end or step % report.save_every_steps == 0:
            self._save(self.last)
        if self.n_stages > 1 and counters.stage_images + stage.batch_size >= stage.images:
            self._save(self.out / f"stage-{counters.stage + 1}.pt")
        if progress is not None and self.distributed.is_main:
            progress(TrainingProgress(self.images, self.total, self._speed(), means))

    def finish(self) -> Path:
        """Write what was not written yet, and close the files."""
        if self.saved_at != self.images:
            self._save(self.last)
        if self.writer is not None:
            self.writer.close()
        self.distributed.wait()
        return self.last

    def _seconds_left(self) -> int | None:
        left = TrainingProgress(self.images, self.total, self._speed(), {}).seconds_left
        return None if left is None else round(left)

    def _speed(self) -> float:
        seconds = time.monotonic() - self.began
        return (self.images - self.began_at) / seconds if seconds > 0 else 0.0

    def _log(self, step: int, counters: Counters) -> dict[str, float]:
        means = {name: self.sums[name] / self.counts[name] for name in self.sums}
        self.sums, self.counts = {}, {}
        line: dict[str, Any] = {
            "images": self.images,
            "step": step,
            "stage": counters.stage,
            "images_per_s": round(self._speed(), 3),
            "seconds_left": self._seconds_left(),
            **{name: float(f"{value:.6g}") for name, value in means.items()},
        }
        self._write("terms", means, line)
        return means

    def _validate(self) -> None:
        if not self.distributed.is_main:
            return
        self.metrics = self.task.validate()
        metrics = {name: float(f"{value:.6g}") for name, value in self.metrics.items()}
        self._write("held_out", self.metrics, {"images": self.images, **metrics})
        metric = self.metrics[self.task.best_metric]
        sign = 1 if self.task.larger_is_better else -1
        if not math.isfinite(metric):
            _logger.warning("held-out faces: %s is %s", self.task.best_metric, metric)
        elif self.best is None or sign * metric > sign * self.best:
            self.best = metric
            self._save(self.out / "best.pt")

    def _write(self, group: str, values: Mapping[str, float], line: Mapping[str, Any]) -> None:
        _logger.info("%s", line)
        if self.writer is None:
            return
        for name, value in values.items():
            self.writer.add_scalar(f"{group}/{name}", value, self.images)
        with (self.out / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def _save(self, path: Path) -> None:
        if path == self.last:
            self.saved_at = self.images
        if not self.distributed.is_main:
            return
        config = self.config.model_dump(mode="json")
        content = TrainingState(
            self.config.task, config, self.images, self.task.state(), self.metrics, self.best
        )
        write_checkpoint(path, content)

    def _load(self, path: Path) -> None:
        found = read_checkpoint(path)
        if found.task != self.config.task:
            raise DataError(f"checkpoint {path}: of the task {found.task}, not {self.config.task}")
        require_same(self.config, found, path)
        self.images, self.metrics = found.images, dict(found.metrics)
        if self.task.best_metric in found.metrics:  # Else the best one is of another metric.
            self.best = found.best
        try:
            self.task.load_state(found.state)
        except (KeyError, RuntimeError, ValueError) as error:
            words = " ".join(str(error).split())[:300]
            raise DataError(
                f"checkpoint {path}: does not fit the configuration ({words}); train it with its "
                f"own, {self.out / CONFIG}"
            ) from error
