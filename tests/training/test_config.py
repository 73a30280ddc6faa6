"""Training configurations: reading, changing, refusing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vidrestore.errors import DataError, UsageError
from vidrestore.models.registry import build
from vidrestore.models.weights.checkpoint import Unfilled
from vidrestore.training.config import CompactGeneratorConfig, GeneratorStage, ScheduleConfig
from vidrestore.training.config_files import (
    TRAINING_CONFIGS,
    load_training_config,
    parse_training_config,
)
from vidrestore.training.tasks.compact_generator import learning_rate
from vidrestore.training.tasks.task import keep_share

FOLDER = Path(__file__).parents[2] / "configs" / "train"
SHIPPED = [FOLDER / f"{task}.yaml" for task in TRAINING_CONFIGS]


def written(folder: Path, content: object) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configurations_build_their_networks(path: Path) -> None:
    config = load_training_config(path)
    with Unfilled():
        build(config.arch, **config.hyperparameters)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_configurations_say_which_checkpoint_is_used(path: Path) -> None:
    head = path.read_text(encoding="utf-8").partition("\ntask:")[0]
    assert re.search(r"[Ww]hat (ships|goes into GFP-GAN|is compared) is (best|last)\.pt", head)


@pytest.mark.parametrize("task", ["stylegan2_prior", "gfpgan", "gpen"])
def test_full_configurations_spell_out_the_defaults(task: str) -> None:
    shipped = load_training_config(FOLDER / f"{task}.yaml").model_dump(
        exclude={"network", "discriminator"}
    )
    defaults = parse_training_config(TRAINING_CONFIGS[task], {"task": task}, "test").model_dump()
    if task == "gpen":
        defaults |= {"batch_size": 4}
    assert shipped == {name: defaults[name] for name in shipped}


def test_recipes_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_training_config("gfpgan") == load_training_config(FOLDER / "gfpgan.yaml")
    with pytest.raises(
        UsageError, match="unknown training configuration 'gfpgn'; did you mean 'gfpgan'"
    ):
        load_training_config("gfpgn")
    Path("gfpgan.yaml").write_text("task: gpen", encoding="utf-8")
    with pytest.raises(UsageError, match=r"has a file gfpgan.yaml; write ./gfpgan.yaml"):
        load_training_config("gfpgan")
    assert load_training_config("./gfpgan.yaml").task == "gpen"


LOOK = {"network": "cells", "images": 8}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"task": "gfpgan", "loses": {}}, "unknown key 'loses'; did you mean 'losses'"),
        ({"task": "gfpgan", "losses": {"pyramyd": 1}}, "'losses.pyramyd'.*'pyramid'"),
        (
            {"task": "compact_generator", "stages": [{"images": 4, "batchsize": 2}]},
            r"'stages\.0\.batchsize'.*'batch_size'",
        ),
        ({"task": "gfpgan", "losses": {"pixel": -1}}, r"losses\.pixel: .*got -1"),
        ({"task": "compact_generator"}, "stages is missing"),
        ({"task": "compact_generator", "stages": [{"images": 5, "batch_size": 2}]}, "whole batch"),
        ({"task": "gpen", "stage": "prior", "losses": {"adversarial": 0}}, "is 1 in the stage"),
        ({"task": "gpen", "augment": {"kind": "ada"}}, "is for the stage prior"),
        (
            {"task": "compact_detector", "stages": [LOOK], "precision": "bfloat16"},
            "stages say how much",
        ),
        (
            {"task": "compact_detector", "stages": [LOOK], "data": {"gray_share": 0.5}},
            r"data\.gray_share: scenes are made otherwise",
        ),
        ({"task": "gfpgann"}, "unknown task 'gfpgann'; did you mean 'gfpgan'"),
        ({}, "unknown task 'None'; known: .*compact_detector"),
        (["task"], "expected fields"),
    ],
    ids=str,
)
def test_mistakes_are_named(content: object, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        load_training_config(written(tmp_path, content))


def number_keys(value: object, *keys: str | int) -> Iterator[tuple[str | int, ...]]:
    """Where numbers are, by keys from outside in."""
    if isinstance(value, dict):
        parts = list(value.items())
    else:
        parts = list(enumerate(value)) if isinstance(value, list) else []
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield keys
    for key, part in parts:
        yield from number_keys(part, *keys, key)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_numbers_without_sense_are_refused_by_their_names(path: Path) -> None:
    whole = load_training_config(path).model_dump(mode="json")
    places = [keys for keys in number_keys(whole) if keys[0] != "mixture"]
    assert len(places) > 20
    for *keys, last in places:
        for bad in (float("inf"), float("-inf"), float("nan"), 1e300, -1e300, 10**30):
            content = json.loads(json.dumps(whole))
            place = content
            for key in keys:
                place = place[key]
            place[last] = bad
            name = next(key for key in (last, *reversed(keys)) if isinstance(key, str))
            with pytest.raises(DataError, match=rf"^test: .*\b{name}\b") as caught:
                parse_training_config(TRAINING_CONFIGS[whole["task"]], content, "test")
            assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"network": {"widths": [float("nan")]}}, r"network: widths\.0: must lie in"),
        ({"network": {"a": {"b": 1e9}}}, r"network: a\.b: must lie in"),
        ({"discriminator": {"width": 1e9}}, "discriminator: width: must lie in"),
        ({"network": {"widths": list(range(300))}}, "network: more than 256 values"),
        ({"betas": [0.9, 1.0]}, r"betas\.1: "),
    ],
    ids=["nan", "nested", "discriminator", "many", "betas"],
)
def test_networks_without_bounds_are_refused(change: dict[str, object], words: str) -> None:
    content = {"task": "compact_generator", "stages": [{"images": 8}], **change}
    with pytest.raises(DataError, match=words):
        parse_training_config(CompactGeneratorConfig, content, "test")


def test_files_that_are_no_configurations(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="check the path"):
        load_training_config(tmp_path / "absent.yaml")
    (tmp_path / "bad.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(DataError, match="not valid YAML"):
        load_training_config(tmp_path / "bad.yaml")


def test_values_can_be_replaced_by_dotted_keys() -> None:
    changes = {
        "stages.1.batch_size": "5",
        "report.save_every_steps": "7",
        "data.resize": "true",
        "mixture.nearly_clean": "0.5",
    }
    config = load_training_config(FOLDER / "compact_generator.yaml", changes)
    assert isinstance(config, CompactGeneratorConfig)
    assert [stage.batch_size for stage in config.stages][:2] == [8, 5]
    assert config.report.save_every_steps == 7
    assert config.data.resize and config.data.gray_share == 0.1
    assert config.mixture == {"nearly_clean": 0.5}
    for bad in ({"stages.9.images": "1"}, {"seed.x": "1"}):
        with pytest.raises(DataError, match="no place"):
            load_training_config(FOLDER / "compact_generator.yaml", bad)


def test_configurations_survive_being_written(tmp_path: Path) -> None:
    for path in SHIPPED:
        config = load_training_config(path)
        assert load_training_config(written(tmp_path, config.model_dump(mode="json"))) == config


def test_the_learning_rate_falls_at_milestones() -> None:
    schedule = ScheduleConfig(learning_rate=1.0, milestones=(10, 20), factor=0.5)
    assert [schedule.rate_at(step) for step in (0, 9, 10, 19, 20, 99)] == [
        1,
        1,
        0.5,
        0.5,
        0.25,
        0.25,
    ]


def test_the_compact_rate_warms_up_and_falls() -> None:
    stage = GeneratorStage(
        images=1000, learning_rate=1.0, final_learning_rate=0.1, warmup_images=100
    )
    rates = [learning_rate(stage, seen) for seen in range(0, 1001, 10)]
    assert rates[0] == pytest.approx(0.01, rel=0.01)
    assert rates.index(max(rates)) == 10
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.1)


@given(st.integers(1, 64), st.floats(100, 1e5))
def test_half_of_the_average_is_gone_after_its_half_life(batch: int, half_life: float) -> None:
    keep = keep_share(batch, half_life, 10**9)
    assert keep ** (half_life / batch) == pytest.approx(0.5, rel=1e-6)


def test_the_papers_average() -> None:
    config = load_training_config(FOLDER / "gfpgan.yaml")
    half_life = config.ema_half_life_steps * config.batch_size
    assert keep_share(config.batch_size, half_life, 10**9) == pytest.approx(0.5 ** (32 / 10_000))
