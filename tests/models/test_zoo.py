"""The table of models is complete and consistent, and names are found or suggested."""

from __future__ import annotations

import json
import re
from dataclasses import FrozenInstanceError, replace

import pytest

from vidrestore.errors import UnknownModelError
from vidrestore.models import zoo
from vidrestore.models.registry import ARCHITECTURES, build
from vidrestore.models.templates import landmark_template
from vidrestore.models.weights.checkpoint import Unfilled
from vidrestore.models.zoo import MODELS, ModelSpec

NAMED = [
    "gfpgan-1.4",
    "gfpgan-1.3",
    "gfpgan-1.2",
    "gfpgan-1.0",
    "gpen-512",
    "gpen-256",
    "retinaface-resnet50",
    "retinaface-mobile0.25",
]

ids = [f"{spec.task}-{spec.name}" for spec in MODELS]


def test_names_are_unique_within_a_task():
    assert len({(spec.task, spec.name) for spec in MODELS}) == len(MODELS)


def test_the_public_and_the_embedded_models_are_there():
    assert set(NAMED) < set(zoo.names())
    assert [spec.task for spec in zoo.find("embedded")] == ["restorer", "detector"]


@pytest.mark.parametrize("spec", MODELS, ids=ids)
def test_a_row_says_where_the_file_comes_from_and_on_what_terms(spec: ModelSpec):
    assert spec.licence
    assert bool(spec.urls) == (spec.needs_file and not spec.embedded)
    assert all(url.startswith("https://") for url in spec.urls)
    assert spec.sha256 is None or re.fullmatch("[0-9a-f]{64}", spec.sha256)
    if spec.urls and spec.name != "gpen-256":
        assert spec.sha256 is not None
        assert spec.url is not None and spec.url.endswith("/" + spec.filename)


def test_files_do_not_share_a_name():
    files = [spec.filename for spec in MODELS if spec.needs_file]
    assert len(set(files)) == len(files)


@pytest.mark.parametrize("spec", MODELS, ids=ids)
def test_restorers_name_a_known_template(spec: ModelSpec):
    if spec.task != "restorer":
        assert spec.template is None
    else:
        assert spec.template is not None
        assert landmark_template(spec.template, 512).shape == (5, 2)


def test_rows_are_read_only():
    spec = zoo.find("gfpgan-1.4")[0]
    with pytest.raises(FrozenInstanceError):
        spec.url = "elsewhere"  # type: ignore[misc]
    with pytest.raises(TypeError):
        spec.hyperparameters["narrow"] = 2  # type: ignore[index]
    assert replace(spec, name="other").hyperparameters == spec.hyperparameters
    assert len({spec, replace(spec)}) == 1


@pytest.mark.parametrize(
    ("name", "task", "suggestion"),
    [
        ("gfpgan1.4", None, "did you mean 'gfpgan-1.4'"),
        ("GPEN-512", "restorer", "did you mean 'gpen-512'"),
        ("retinaface", "detector", "did you mean 'retinaface-"),
        ("gfpgan-1.4", "detector", "'gfpgan-1.4' is no detector (but: restorer)"),
        ("quite something else", "detector", "known: embedded, retinaface-resnet50"),
    ],
)
def test_unknown_names_get_a_suggestion(name, task, suggestion):
    with pytest.raises(UnknownModelError, match=re.escape(suggestion)) as caught:
        zoo.find(name, task)
    assert repr(name) in str(caught.value)


def test_the_debug_model_is_found_but_not_listed():
    assert "debug" not in zoo.names()
    assert zoo.find("debug", "restorer")[0].hidden


def test_auto_ends_with_the_embedded_model_and_never_takes_non_commercial_ones():
    for task, order in zoo.AUTO_ORDER.items():
        rows = [zoo.find(name, task)[0] for name in order]
        assert rows[-1].embedded
        assert not any(spec.licence.startswith("non-commercial") for spec in rows)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("gfpgan-1.4", "gfpgan_clean_512_cm2"),
        ("gfpgan-1.3", "gfpgan_clean_512_cm2"),
        ("gfpgan-1.2", "gfpgan_clean_512_cm2"),
        ("gfpgan-1.0", "gfpgan_v1_512_cm1"),
        ("gpen-512", "gpen_512_cm2"),
        ("gpen-256", "gpen_256_cm1_narrow0.5"),
    ],
)
def test_rows_build_the_networks_of_the_public_checkpoints(shared, name, reference):
    published = json.loads((shared / "reference" / f"{reference}.json").read_text("utf-8"))
    (spec,) = zoo.find(name)
    with Unfilled():
        network = build(spec.arch, **spec.hyperparameters)
    found = {key: list(value.shape) for key, value in network.state_dict().items()}
    assert found == published["state_dict"]
    assert {key: published[key] for key in spec.hyperparameters} == {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in spec.hyperparameters.items()
    }


@pytest.mark.parametrize("spec", MODELS, ids=ids)
def test_networks_are_known_to_build(spec: ModelSpec):
    others = {"Debug", "RetinaFace", "ParseNet", "BiSeNet", "ArcFaceResNet18"}
    assert spec.arch in ARCHITECTURES.keys() | others


def test_the_table_agrees_with_the_record_of_public_checkpoints(shared):
    record = (shared / "MODELS.md").read_text("utf-8")
    for spec in MODELS:
        if spec.urls:
            line = next(line for line in record.splitlines() if spec.filename in line)
            assert spec.bytes is None or f"| {spec.bytes} |" in line
            assert spec.sha256 is None or spec.sha256 in line
            assert spec.licence.split(";")[0].split(" use")[0] in line
