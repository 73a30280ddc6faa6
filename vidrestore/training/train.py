"""The training loop, for every task.

    train(load_training_config("gfpgan"), Path("faces"), Path("run"))

The one counter is the number of images seen. Samples, random numbers, learning rate and lazy terms
follow from it, so `resume` goes on bit for bit (on a CPU with the same number of threads), and
several processes that share each batch see what one would.

A run's folder holds ``config.yaml`` as resolved, ``last.pt`` and ``best.pt``, ``log.jsonl`` and
TensorBoard's files; where there are several stages, also what each one ended with, ``stage-1.pt`` …
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from vidrestore.errors import DataError
from vidrestore.runtime.extras import require_extra
from vidrestore.runtime.output_file import write_whole
from vidrestore.runtime.output_lock import OutputLock
from vidrestore.training.checkpoint import TrainingState, read_checkpoint, write_checkpoint
from vidrestore.training.config import CompactDetectorConfig, TrainingConfig
from vidrestore.training.data.batches import batches
from vidrestore.training.data.faces import open_faces
from vidrestore.training.distributed import Distributed
from vidrestore.training.inputs import require_inputs
from vidrestore.training.resume import require_same
from vidrestore.training.run_folder import CONFIG, LAST, config_text, require_free
from vidrestore.training.tasks import open_task
from vidrestore.training.tasks.task import Batch, Counters, Data, Stage, Task

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

    from vidrestore.training.tasks.compact_detector import SceneData

__all__ = ["TrainingProgress", "batch_schedule", "train"]

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


def train(
    config: TrainingConfig,
    data: Path,
    out: Path,
    *,
    resume: bool = False,
    workers: int = 0,
    device: str = "auto",
    stop_at_step: int | None = None,
    progress: Callable[[TrainingProgress], None] | None = None,
    preparing: Callable[[int, int], None] | None = None,
) -> Path:
    """Run a configuration.

    Args:
        config: what to do.
        data: folder of face pictures, see `training.data.faces`; the detector's scenes need
            a ``labels.csv`` with boxes.
        out: folder for what the run writes, made where missing.
        resume: go on from ``last.pt`` where there is one, else begin. What the configuration says
            otherwise than the checkpoint's own is named, and refused where it would not be what is
            trained.
        workers: loader processes; 0 loads in this one. The result does not depend on it.
        device: "auto", "cpu", "cuda", "cuda:1".
        stop_at_step: stop early, after this step of the whole training.
        progress: told after every step.
        preparing: told how many of how many faces are made ready, where that takes minutes.

    Returns:
        Path of the last checkpoint.

    Raises:
        DataError: the data, the configuration or the checkpoint cannot be used, the folder holds
            files that would be replaced, or a loss term is not finite any more.
        NotAvailableError: a loss term's network, or a package, is not there.
        VideoWriteError: another training writes into the folder.
    """
    require_extra("tensorboard")
    require_inputs(config, data)
    require_free(out, config, resume=resume)
    distributed = Distributed(device, config.precision)
    with _only_run(out, distributed):
        source = _data(config, data, out, workers, preparing)
        run = _Run(config, open_task(config, source, distributed), distributed, out)
        if resume:
            run.load()
        source.open()  # Last, as it may take long: whatever else is wrong has been found by now.
        stages = run.task.stages()
        run.begin(stages)
        _logger.info("%s: %d of %d images seen", config.task, run.images, run.total)
        for counters, batch, stage in batch_schedule(stages, run.images, distributed, workers):
            if stop_at_step is not None and counters.step >= stop_at_step:
                break
            terms = run.task.step(batch.to(distributed.device), counters)
            run.after_step(counters, stage, terms, progress)
        return run.finish()


@contextmanager
def _only_run(out: Path, distributed: Distributed) -> Iterator[None]:
    """Keep a second training off the folder, from before the pictures are read."""
    if not distributed.is_main:
        yield
        return
    is_new = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out}: {error.strerror}; name another folder") from error
    lock = OutputLock(out / "training")
    lock.acquire()
    try:
        yield
    finally:
        lock.release()
        if is_new:
            with suppress(OSError):
                out.rmdir()  # only if nothing was written


def _data(
    config: TrainingConfig,
    folder: Path,
    out: Path,
    workers: int,
    preparing: Callable[[int, int], None] | None,
) -> Data | SceneData:
    """What the configuration's task learns from, not yet opened."""
    if isinstance(config, CompactDetectorConfig):
        from vidrestore.training.tasks.compact_detector import scene_data

        return scene_data(config, folder, out / "faces", workers, preparing)
    settings = config.data
    return Data(
        partial(
            open_faces,
            folder,
            size=settings.size_px,
            resize=settings.resize,
            held_out_every=settings.held_out_every,
            template=settings.template,
            unlabelled_template=settings.unlabelled_template,
            memory_gib=settings.memory_gib,
        )
    )


def batch_schedule(
    stages: Sequence[Stage], seen: int, distributed: Distributed, workers: int
) -> Iterator[tuple[Counters, Batch, Stage]]:
    """The batches of this process from image `seen` of the training on, with their counters."""
    start = step = 0
    for number, stage in enumerate(stages):
        done = min(max(seen - start, 0), stage.images)
        step += done // stage.batch_size
        loader = batches(
            stage.samples,
            start + done,
            start + stage.images,
            stage.batch_size,
            workers=workers,
            rank=distributed.rank,
            n_processes=distributed.n_processes,
            pin=distributed.device.type == "cuda",
        )
        for batch in loader:
            yield Counters(start + done, step, number, done), batch, stage
            done, step = done + stage.batch_size, step + 1
        start += stage.images


@dataclass
class _Run:
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
