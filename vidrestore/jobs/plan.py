"""The plan of a job: what a run depends on, stored before work, compared when it goes on.

    folder = prepare("tape.mp4", "restored.mkv", config)

Two runs with equal plans give equal bytes. What changes no byte (threads, queues, where state is
kept) is left out of the comparison.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import av
import torch

import vidrestore
from vidrestore.config import ConfigLike, RestoreConfig, resolve_config
from vidrestore.errors import JobError
from vidrestore.job import Job, make_job
from vidrestore.jobs.backends import settle_backends
from vidrestore.jobs.identity import file_change, file_identity
from vidrestore.jobs.networks import Networks
from vidrestore.jobs.store import FolderStore, job_folder
from vidrestore.models.load import device_kind, resolve_device
from vidrestore.models.weights.store import path_of, sha256_of
from vidrestore.models.zoo import ModelSpec
from vidrestore.tracks import Tracks

__all__ = ["changes", "check_plan", "job_of", "plan_of", "prepare"]

_FREE = frozenset(
    {
        *("job.work", "job.no_resume", "job.restart", "job.verify", "job.same_device"),
        *("run.threads", "run.queue_frames", "encode.overwrite", "encode.keep_damaged"),
        *("run.max_failed_faces", "decode.max_broken", "decode.hardware", "run.device"),
    }
)
"""Options that change no byte of a finished output; the device is compared as it was chosen."""


def prepare(
    source: str | Path,
    destination: str | Path,
    config: ConfigLike = None,
    *,
    tracks: Tracks | None = None,
) -> Path:
    """Plan a video, and store the plan; one that is stored already must be the same.

    Args:
        source: the video to restore.
        destination: the file to write.
        config: a configuration, as `vidrestore.restore_video` takes it.
        tracks: faces that are known already.

    Returns:
        The job's folder.

    Raises:
        JobError: another plan is stored, and the configuration does not ask to begin anew.
        VidRestoreError: as `vidrestore.job.make_job`.
    """
    resolved = resolve_config(config)
    job = settle_backends(make_job(source, destination, resolved, tracks=tracks))
    store = FolderStore(job_folder(Path(destination), resolved.job.work))
    check_plan(store, plan_of(job), restart=resolved.job.restart)
    if tracks is not None:
        (store.folder / "tracks.json").write_text(tracks.to_json(), encoding="utf-8")
    return store.folder


def job_of(folder: Path, changed: Mapping[str, Any] | None = None) -> Job:
    """Make the job again that a folder is for.

    Args:
        folder: the job's.
        changed: options that change no byte, {'stage.field': value}.

    Raises:
        JobError: the folder has no plan.
        VidRestoreError: as `vidrestore.job.make_job`.
    """
    plan = FolderStore(folder).read("plan")
    if plan is None:
        raise JobError(f"{folder}: holds no plan of a job")
    values = plan["configuration"]
    config = RestoreConfig.model_validate(values)
    job_part = config.job.model_copy(update={"restart": False})
    models = {"model": plan["models"]["restorer"]["name"]}
    restore_part = config.restore.model_copy(update=models)
    detector = {"detector": plan["models"]["detector"]["name"]}
    config = config.model_copy(
        update={
            "job": job_part,
            "restore": restore_part,
            "detect": config.detect.model_copy(update=detector),
        }
    )
    tracks_file = folder / "tracks.json"
    if tracks_file.exists():
        config = resolve_config(config, {"track.file": tracks_file})
    config = resolve_config(config, dict(changed or {}))
    return make_job(plan["source"], plan["output"], config, again=True)


def plan_of(job: Job, networks: Networks | None = None) -> dict[str, Any]:
    """What a run depends on.

    Args:
        job: the run's.
        networks: as loaded; None where only later steps load them.
    """
    assert job.output is not None
    config = job.config
    device = resolve_device(config.run.device)
    backend = {"device": device_kind(device), "torch": torch.__version__, "av": av.__version__}
    if networks is not None:
        backend["precision"] = str(getattr(networks.restorer, "precision", ""))
        backend["batch_size"] = str(networks.run.batch_size)
        for name, facts in networks.facts().items():
            backend[f"{name}'s backend"] = str(facts)
    tracks = None if job.tracks is None else job.tracks.to_json().encode()
    return {
        "format": "vidrestore job",
        "version": vidrestore.__version__,
        "source": str(job.source.absolute()),
        "output": str(job.output.destination.absolute()),
        "input": file_identity(job.info.path, whole=config.job.verify),
        "tracks": None if tracks is None else hashlib.sha256(tracks).hexdigest(),
        "configuration": config.model_dump(mode="json"),
        "models": {"restorer": _model(job.model), "detector": _model(job.detector)},
        "backend": backend,
        "codec": [job.output.codec, job.output.pix_fmt, job.output.container.muxer],
    }


def check_plan(store: FolderStore, plan: dict[str, Any], *, restart: bool = False) -> bool:
    """Store a plan, or compare it with the one that is stored.

    Args:
        store: of the job; its folder is made.
        plan: of the run that begins.
        restart: whether to begin anew where they differ.

    Returns:
        Whether the run goes on with what a stopped one stored.

    Raises:
        JobError: they differ; it is said in what.
    """
    stored = store.read("plan")
    if stored is not None:
        found = list(changes(stored, plan))
        if not found:
            return True
        if not restart:
            raise JobError(
                f"{plan['output']}: a run of it was stopped and cannot go on, for "
                f"{'; '.join(found)}; add --restart to begin anew"
            )
    store.remove()
    store.create()
    store.write("plan", plan)
    return False


def changes(stored: Mapping[str, Any], plan: Mapping[str, Any]) -> Iterator[str]:
    """In what two plans differ, in words."""
    if stored.get("format") != plan["format"] or "configuration" not in stored:
        yield "what it stored is no plan"
        return
    if stored["version"] != plan["version"]:
        yield f"version {stored['version']} of the program became {plan['version']}"
    change = file_change(stored["input"], plan["input"])
    if stored["source"] != plan["source"]:
        yield f"the input was {stored['source']}"
    elif change is not None:
        yield f"the input changed ({change})"
    before, now = (dict(_dotted(one["configuration"])) for one in (stored, plan))
    for name in sorted(before.keys() | now.keys()):
        if name not in _FREE and before.get(name) != now.get(name):
            yield f"{name} {before.get(name)} became {now.get(name)}"
    if stored["tracks"] != plan["tracks"]:
        yield "the tracks changed"
    for kind, model in plan["models"].items():
        if stored["models"][kind] != model:
            yield f"the {kind}'s weights changed"
    for name in sorted(stored["backend"].keys() & plan["backend"].keys()):
        if stored["backend"][name] != plan["backend"][name]:
            yield f"{name} {stored['backend'][name]} became {plan['backend'][name]}"
    if stored["codec"] != plan["codec"]:
        yield f"the codec {stored['codec'][0]} became {plan['codec'][0]}"


def _dotted(configuration: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for stage, options in configuration.items():
        for name, value in options.items():
            yield f"{stage}.{name}", value


def _model(chosen: ModelSpec | Path | None) -> dict[str, Any]:
    if isinstance(chosen, ModelSpec):
        sha256 = chosen.sha256
        if sha256 is None and chosen.needs_file:
            sha256 = sha256_of(path_of(chosen))
        return {"name": chosen.name, "sha256": sha256}
    if chosen is None:
        return {"name": None, "sha256": None}
    named = str(chosen)
    path = Path(named.partition("#")[0])
    return {"name": named, "sha256": sha256_of(path if path.is_file() else chosen)}
