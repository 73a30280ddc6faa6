"""The training loop, for every task.

    train(load_training_config("gfpgan"), Path("faces"), Path("run"))

The one counter is the number of images seen. Samples, random numbers, learning rate and lazy terms
follow from it, so `resume` goes on bit for bit (on a CPU with the same number of threads), and
several processes that share each batch see what one would.

A run's folder holds ``config.yaml`` as resolved, ``last.pt`` and ``best.pt``, ``log.jsonl`` and
TensorBoard's files; where there are several stages, also what each one ended with, ``stage-1.pt`` …
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vidrestore.errors import DataError
from vidrestore.runtime.extras import require_extra
from vidrestore.runtime.output_lock import OutputLock
from vidrestore.training.config import CompactDetectorConfig, TrainingConfig
from vidrestore.training.data.batches import batches
from vidrestore.training.data.faces import open_faces
from vidrestore.training.distributed import Distributed
from vidrestore.training.inputs import require_inputs
from vidrestore.training.run_folder import require_free
from vidrestore.training.tasks import open_task
from vidrestore.training.tasks.task import Batch, Counters, Data, Stage
from vidrestore.training.training_run import TrainingProgress, TrainingRun

if TYPE_CHECKING:
    from vidrestore.training.tasks.compact_detector import SceneData

__all__ = ["batch_schedule", "train"]

_logger = logging.getLogger(__name__)


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
        run = TrainingRun(config, open_task(config, source, distributed), distributed, out)
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
