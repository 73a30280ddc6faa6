"""The training loop: resuming bit for bit, the files of a run, terms and what they need."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from labelled_faces import write_faces
from tiny_training import SIZE, TINY, tiny_config
from torch.nn import functional as F

from vidrestore.errors import DataError, NotAvailableError, VidRestoreError
from vidrestore.runtime.output_lock import OutputLock
from vidrestore.training.checkpoint import read_checkpoint
from vidrestore.training.config import TrainingConfig
from vidrestore.training.data.faces import load_faces
from vidrestore.training.distributed import Distributed
from vidrestore.training.losses.identity import UNIT_LENGTH_SCALE, identity_distance
from vidrestore.training.tasks import open_task
from vidrestore.training.tasks.task import Data
from vidrestore.training.train import batch_schedule, train

RUNS = [
    ("stylegan2_prior", {}),
    pytest.param("stylegan2_prior", {"augment": {"kind": "diffaugment"}}, marks=pytest.mark.soak),
    ("gfpgan", {}),
    pytest.param("gpen", {}, marks=pytest.mark.soak),
    ("gpen", {"stage": "prior"}),
    ("compact_generator", {}),
    ("compact_detector", {}),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("data"), {"train": 3, "val": 1}, size=SIZE)


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from leaves(part, f"{name}.{key}")
    elif isinstance(value, (list, tuple)):
        for place, part in enumerate(value):
            yield from leaves(part, f"{name}.{place}")
    else:
        yield name, value


def differing(first: Path, second: Path) -> list[str]:
    """Everything in which two checkpoints differ, down to the last bit."""
    one, other = (dict(leaves(read_checkpoint(path).state)) for path in (first, second))
    assert one.keys() == other.keys()
    equal = {
        name: torch.equal(one[name], other[name])
        if isinstance(one[name], torch.Tensor)
        else one[name] == other[name]
        for name in one
    }
    return [name for name in one if not equal[name]]


@pytest.fixture(scope="session")
def identity(shared: Path) -> Path:
    return shared / "weights" / "mobilefacenet.pt"


@pytest.mark.parametrize(("task", "changes"), RUNS, ids=str)
def test_five_steps_are_three_and_two_after_a_stop(
    task: str, changes: dict[str, Any], data: Path, identity: Path, tmp_path: Path
) -> None:
    config = tiny_config(task, identity, **changes)
    whole = train(config, data, tmp_path / "whole")
    stopped = train(config, data, tmp_path / "parts", stop_at_step=3)
    assert read_checkpoint(stopped).images == 6
    before = dict(leaves(read_checkpoint(stopped).state))
    resumed = train(config, data, tmp_path / "parts", resume=True)
    assert differing(whole, resumed) == []
    after = read_checkpoint(whole)
    assert after.images == 10
    moved = [n for n, v in leaves(after.state["average"], ".average") if not v.equal(before[n])]
    assert len(moved) > 10
    assert all(math.isfinite(value) for value in after.metrics.values())


def compact(**changes: Any) -> Any:
    stages = [{"images": 4, "batch_size": 2, "window": 16, **changes}]
    return tiny_config("compact_generator", stages=stages)


def test_loader_processes_do_not_change_the_result(data: Path, tmp_path: Path) -> None:
    own = train(compact(), data, tmp_path / "own", workers=0)
    assert differing(own, train(compact(), data, tmp_path / "other", workers=1)) == []


def test_another_seed_gives_another_training(data: Path, tmp_path: Path) -> None:
    first = train(compact(), data, tmp_path / "a")
    other = compact().model_copy(update={"seed": 1})
    assert differing(first, train(other, data, tmp_path / "b"))


def test_the_files_of_a_run(data: Path, tmp_path: Path) -> None:
    report = {"log_every_steps": 1, "validate_every_steps": 1, "samples_every_steps": 1}
    config = compact(learning_rate=0.0, final_learning_rate=0.0)
    told = []
    train(
        config.model_copy(update={"report": config.report.model_copy(update=report)}),
        data,
        tmp_path,
        progress=told.append,
    )
    names = {path.name.partition(".")[0] for path in tmp_path.iterdir()}
    assert names == {"config", "last", "best", "log", "events"}
    assert read_checkpoint(tmp_path / "best.pt").images == 2  # No later one was better.
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert {"pixel", "gradient", "images_per_s"} <= lines[0].keys()
    assert {"psnr_db", "input_psnr_db", "ssim", "sharpness"} <= lines[1].keys()
    assert [step.images for step in told] == [2, 4]
    assert told[0].seconds_left > 0 and told[-1].seconds_left == 0
    assert told[0].terms["pixel"] > 0


def test_what_each_stage_ended_with_is_kept(data: Path, tmp_path: Path) -> None:
    stages = [{"images": 4, "batch_size": 2, "window": 16}] * 2
    train(tiny_config("compact_generator", stages=stages), data, tmp_path)
    ends = [read_checkpoint(tmp_path / f"stage-{number}.pt").images for number in (1, 2)]
    assert ends == [4, 8]


def test_tensorboard_reads_scalars_and_pictures(data: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(compact(), data, tmp_path)
    events = EventAccumulator(str(tmp_path), size_guidance={"images": 1})
    events.Reload()
    assert {"terms/pixel", "held_out/psnr_db"} <= set(events.Tags()["scalars"])
    picture = events.Images("samples")[0]
    assert (picture.width, picture.height) == (3 * SIZE, SIZE)


def test_a_folder_with_a_training_is_not_overwritten(data: Path, tmp_path: Path) -> None:
    train(compact(), data, tmp_path)
    with pytest.raises(DataError, match="--resume"):
        train(compact(), data, tmp_path)


def test_going_on_without_a_checkpoint_is_said(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(compact(), data, tmp_path, resume=True)
    assert "begins anew" in caplog.text


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 5}, "seed was 0, and is 5 now"),
        ({"betas": (0.5, 0.9)}, "betas.0 was 0.9, and is 0.5 now"),
        (
            {"stages": [{"images": 6, "batch_size": 3, "window": 16}]},
            "batch_size was 2, and is 3 now",
        ),
    ],
)
def test_what_would_not_apply_is_refused(
    changes: dict[str, Any], named: str, data: Path, tmp_path: Path
) -> None:
    train(compact(), data, tmp_path, stop_at_step=1)
    kept = (tmp_path / "config.yaml").read_bytes()
    stages = [{"images": 4, "batch_size": 2, "window": 16}]
    other = tiny_config("compact_generator", **{"stages": stages, **changes})
    with pytest.raises(DataError, match=named):
        train(other, data, tmp_path, resume=True)
    assert (tmp_path / "config.yaml").read_bytes() == kept


def test_what_applies_from_here_on_is_named(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(compact(), data, tmp_path, stop_at_step=1)
    longer = compact(images=8, learning_rate=1e-5)
    assert read_checkpoint(train(longer, data, tmp_path, resume=True)).images == 8
    assert "stages.0.images 4 → 8" in caplog.text
    assert "stages.0.learning_rate 0.001 → 1e-05" in caplog.text


def test_a_stage_that_is_over_keeps_its_length(data: Path, tmp_path: Path) -> None:
    stages = [{"images": 4, "batch_size": 2, "window": 16}] * 2
    train(tiny_config("compact_generator", stages=stages), data, tmp_path, stop_at_step=3)
    stages = [{**stages[0], "images": 2}, stages[1]]
    with pytest.raises(DataError, match=r"stages\.0\.images was 4, and is 2 now"):
        train(tiny_config("compact_generator", stages=stages), data, tmp_path, resume=True)


def test_a_training_that_diverges_stops_and_says_where(data: Path, tmp_path: Path) -> None:
    wild = compact(images=20, learning_rate=10.0, final_learning_rate=10.0)
    with pytest.raises(DataError, match=r"diverged: the term \w+ is (nan|inf) in step \d+"):
        train(wild, data, tmp_path)


def test_checkpoints_of_other_configurations_are_refused(
    data: Path, identity: Path, tmp_path: Path
) -> None:
    train(compact(), data, tmp_path)
    wider = compact().model_copy(update={"network": {"widths": [16, 16]}})
    with pytest.raises(DataError, match="does not fit the configuration"):
        train(wider, data, tmp_path, resume=True)
    with pytest.raises(DataError, match="task compact_generator, not gpen"):
        train(tiny_config("gpen", identity), data, tmp_path, resume=True)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut off"])
def test_damaged_checkpoints_are_named(content: bytes, data: Path, tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(DataError, match=r"last\.pt"):
        train(compact(), data, tmp_path, resume=True)


TERMS = {
    "gfpgan": {
        "pixel": {"pixel"},
        "pyramid": {"pyramid"},
        "perceptual": {"perceptual", "perceptual_discriminator"},
        "style": {"style"},
        "adversarial": {"adversarial", "perceptual_discriminator", "discriminator", "r1"},
        "r1": {"r1"},
        "component_adversarial": {"component_adversarial"},
        "component_style": {"component_style"},
        "identity": {"identity"},
    },
    "gpen": {
        "adversarial": {"adversarial"},
        "r1": {"r1"},
        "path_length": {"path_length", "path_mean"},
        "pixel": {"pixel"},
        "identity": {"identity"},
        "feature_matching": {"feature_matching"},
    },
    "stylegan2_prior": {"r1": {"r1"}, "path_length": {"path_length", "path_mean"}},
}


def logged(folder: Path) -> set[str]:
    line = json.loads((folder / "log.jsonl").read_text().splitlines()[0])
    return line.keys() - {"images", "step", "stage", "images_per_s", "seconds_left"}


def terms_of_first_step(config: TrainingConfig, data: Path) -> set[str]:
    """Names of what the first step computes, in which no lazy term rests."""
    distributed = Distributed("cpu")
    task: Any = open_task(config, Data(partial(load_faces, data, size=SIZE)), distributed)
    counters, batch, _ = next(batch_schedule(task.stages(), 0, distributed, 0))
    return set(task.step(batch, counters))


@pytest.mark.parametrize("task", TERMS)
def test_every_term_can_be_switched_off(task: str, data: Path, identity: Path) -> None:
    everything = terms_of_first_step(tiny_config(task, identity, batch_size=1), data)
    for term, gone in TERMS[task].items():
        config = tiny_config(task, identity, losses={term: 0}, batch_size=1)
        assert everything - terms_of_first_step(config, data) == gone


def test_the_pyramid_is_removed_after_its_step(data: Path, identity: Path, tmp_path: Path) -> None:
    off = {name: 0 for name in TERMS["gfpgan"] if name not in ("pixel", "pyramid")}
    changes = {"steps": 2, "batch_size": 1, "losses": {**off, "pyramid_until_step": 1}}
    config = tiny_config("gfpgan", identity, report={"log_every_steps": 1}, **changes)
    train(config, data, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert ["pyramid" in line for line in lines if "pixel" in line] == [True, False]


def test_terms_without_their_network_are_refused_or_told(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("VIDRESTORE_HOME", str(tmp_path / "home"))
    one_step = {"steps": 1, "batch_size": 1, "losses": {"features": "vgg19"}}
    for words in (r"mobilefacenet\.pt, https://", "when_missing: skip"):
        with pytest.raises(NotAvailableError, match=words):
            train(tiny_config("gfpgan", **one_step), data, tmp_path / "refused")
    assert not (tmp_path / "refused").exists()
    train(tiny_config("gfpgan", when_missing="skip", **one_step), data, tmp_path / "skipped")
    assert not {"identity", "perceptual", "style"} & logged(tmp_path / "skipped")
    for words in ("mobilefacenet.pt", "vgg19-dcbb9e9d.pth", "https://"):
        assert words in caplog.text


def test_without_vgg19_other_features_take_its_place(
    data: Path,
    identity: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("VIDRESTORE_HOME", str(tmp_path / "home"))
    config = tiny_config("gfpgan", identity, steps=1, batch_size=1, losses={"features": "auto"})
    train(config, data, tmp_path / "run")
    assert {"perceptual", "perceptual_discriminator", "style"} <= logged(tmp_path / "run")
    for words in ("vgg19-dcbb9e9d.pth", "arcface_resnet18.pth"):
        assert words in caplog.text
    named = tiny_config(
        "gfpgan", identity, losses={"features": "auto"},
        weights={"vgg19": tmp_path / "no.pth", "identity": identity},
    )  # fmt: skip
    with pytest.raises(NotAvailableError, match=r"no\.pth"):
        train(named, data, tmp_path / "named")


def test_a_file_is_no_folder_for_a_training(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="is a file"):
        train(compact(), data, tmp_path / "file")


def test_a_fixed_decoder_needs_its_prior(data: Path, identity: Path, tmp_path: Path) -> None:
    changes = {"train_decoder": False, "steps": 1, "batch_size": 1}
    with pytest.raises(DataError, match="prior: FILE"):
        train(tiny_config("gfpgan", identity, **changes), data, tmp_path / "none")
    tiny = {**TINY["gfpgan"]["network"], "arch": "StyleGAN2GeneratorClean"}
    del tiny["narrow"]
    prior = train(
        tiny_config(
            "stylegan2_prior",
            network={**tiny, "narrow": 0.0625},
            steps=1,
            batch_size=1,
        ),
        data,
        tmp_path / "prior",
    )
    last = train(tiny_config("gfpgan", identity, prior=prior, **changes), data, tmp_path / "gfpgan")
    wanted = read_checkpoint(prior).state["average"]
    found = read_checkpoint(last).state["network"]
    for name, value in wanted.items():
        assert torch.equal(found[f"stylegan_decoder.{name}"], value), name


def test_gpens_second_phase_begins_with_the_first(
    data: Path, identity: Path, tmp_path: Path
) -> None:
    short = {"steps": 1, "batch_size": 1}
    prior = train(tiny_config("gpen", stage="prior", **short), data, tmp_path / "prior")
    still = {"schedule": {"learning_rate": 0.0}}
    last = train(
        tiny_config("gpen", identity, prior=prior, **short, **still), data, tmp_path / "whole"
    )
    wanted, found = read_checkpoint(prior).state["average"], read_checkpoint(last).state["network"]
    decoder = [name for name in wanted if name.startswith("generator.")]
    assert decoder
    assert all(torch.equal(wanted[name], found[name]) for name in decoder)


def test_the_identity_weight_is_brought_to_the_networks_scale(
    data: Path, identity: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    off = {name: 0 for name in TERMS["gfpgan"] if name not in ("pixel", "identity", "pyramid")}
    found = {}
    for through, distance in (("mobilefacenet", "l1"), ("mobilefacenet", "cosine")):
        losses = {**off, "identity_through": through, "identity_distance": distance}
        config = tiny_config("gfpgan", identity, steps=1, batch_size=1, losses=losses)
        task: Any = open_task(
            config, Data(lambda split: pytest.fail("not needed")), Distributed("cpu")
        )
        found[distance] = task.identity_weight
    assert found == {"l1": pytest.approx(113.1, abs=0.1), "cosine": 10}
    assert "losses.identity: 10, for ArcFace's vectors, becomes 113.1" in caplog.text
    # Of vectors at one angle, the scaled distance is what vectors of ArcFace's scale have.
    draws = torch.randn(2, 500, 512, generator=torch.Generator().manual_seed(0))
    unit = F.normalize(torch.randn(2, 500, 128, generator=torch.Generator().manual_seed(1)), dim=-1)
    scaled = UNIT_LENGTH_SCALE * identity_distance(*unit, "l1")
    assert float(scaled) == pytest.approx(float(identity_distance(*draws, "l1")), rel=0.02)


@pytest.fixture(scope="module")
def unreadable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of which no picture can be decoded: what is found first is said."""
    folder = write_faces(tmp_path_factory.mktemp("bad"), {"train": 2, "val": 1}, size=SIZE)
    for picture in folder.glob("*.png"):
        picture.write_bytes(b"no picture")
    return folder


SMALL_GFPGAN = {"arch": "GFPGANv1Clean", "out_size": 16, "num_style_feat": 8, "narrow": 0.03125}


@pytest.mark.parametrize(
    ("task", "changes", "words"),
    [
        ("stylegan2_prior", {"network": {"out_size": 16}}, r"out_size is 16.*data\.size_px is 32"),
        ("stylegan2_prior", {"data": {"size_px": 16}}, r"out_size is 32.*data\.size_px is 16"),
        ("gfpgan", {"data": {"size_px": 16, "resize": True}}, r"out_size.*data\.size_px is 16"),
        ("gpen", {"network": {"size": 64}}, r"network\.size is 64, but data\.size_px is 32"),
        ("gpen", {"stage": "prior", "network": {"size": 64}}, r"network\.size is 64"),
        ("compact_generator", {"network": SMALL_GFPGAN}, r"out_size is 16.*data\.size_px is 32"),
        ("gfpgan", {"prior": Path("absent.pth")}, r"absent\.pth"),
        ("gpen", {"prior": Path("absent.pth")}, r"absent\.pth"),
        ("compact_generator", {"start_from": Path("absent.pth")}, r"absent\.pth"),
        ("compact_detector", {"start_from": Path("absent.pth")}, r"absent\.pth"),
        ("compact_detector", {"textures": Path("absent")}, "absent"),
        ("gfpgan", {"weights": {"identity": Path("absent.pt")}}, r"absent\.pt"),
        ("gpen", {"discriminator": {"narow": 1}}, "discriminator"),
    ],
    ids=str,
)
def test_a_configurations_faults_are_found_before_pictures_are_decoded(
    task: str, changes: dict[str, Any], words: str, unreadable: Path, identity: Path, tmp_path: Path
) -> None:
    config = tiny_config(task, identity, **changes)
    with pytest.raises(VidRestoreError, match=words):
        train(config, unreadable, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_occupied_folder_is_found_before_pictures_are_decoded(
    data: Path, unreadable: Path, tmp_path: Path
) -> None:
    train(compact(), data, tmp_path / "run")
    with pytest.raises(DataError, match="--resume"):
        train(compact(), unreadable, tmp_path / "run")
    other = compact().model_copy(update={"seed": 5})
    with pytest.raises(DataError, match="seed was 0, and is 5 now"):
        train(other, unreadable, tmp_path / "run", resume=True)
    with pytest.raises(DataError, match=r"config\.yaml is no folder"):
        train(compact(), unreadable, tmp_path / "run" / "config.yaml" / "run")
    with pytest.raises(DataError, match="no readable 32 px picture"):
        train(compact(), unreadable, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_second_training_stays_off_the_folder(unreadable: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    first = OutputLock(tmp_path / "run" / "training")
    first.acquire()
    with pytest.raises(VidRestoreError, match=r"being written by process \d+"):
        train(compact(), unreadable, tmp_path / "run")
    first.release()
    assert list((tmp_path / "run").iterdir()) == []


def test_wrong_sizes_are_refused_before_work(data: Path, identity: Path, tmp_path: Path) -> None:
    small = tiny_config("gfpgan", identity, data={"size_px": 16, "resize": True})
    with pytest.raises(DataError, match="make them one"):
        train(small, data, tmp_path / "a")
    with pytest.raises(DataError, match="whole crops"):
        train(compact(identity_weight=1.0), data, tmp_path / "b")
    with pytest.raises(DataError, match="multiple of 4"):
        train(compact(window=18), data, tmp_path / "c")
