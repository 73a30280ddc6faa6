"""Recipes: one seed one result, mistakes are named, windows change nothing."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from vidrestore.cli import main
from vidrestore.degradations import (
    BlindVideo,
    apply,
    load_recipe,
    recipe_names,
)
from vidrestore.degradations.degradation import Degradation
from vidrestore.degradations.recipe import Recipe
from vidrestore.degradations.recipe_files import parse_recipe
from vidrestore.degradations.steps import STEPS
from vidrestore.errors import UsageError

ALONE = [name for name in STEPS if name not in ("one_of", "drawn_blind_video")]
KEEP_GRAY = [
    name
    for name in ALONE
    if name not in ("fade", "colour_shift", "gaussian_noise", "poisson_noise", "tape_noise")
    and name not in ("jpeg", "h264", "mpeg2", "blind_video")
]


def drawn(name: str, seed: int, **values: object):
    return parse_recipe({"steps": [{name: values}]}).draw(np.random.default_rng(seed))


@pytest.mark.parametrize("name", ALONE)
@given(seed=st.integers(0, 2**32), size=st.sampled_from([(32, 48), (33, 47), (17, 20)]))
@settings(max_examples=5, deadline=None)
def test_every_step_keeps_the_clip_a_clip(name: str, seed: int, size: tuple[int, int]) -> None:
    clip = np.random.default_rng(seed).random((3, *size, 3)).astype(np.float32)
    before = clip.copy()
    step = drawn(name, seed)
    out = step.clip(clip, seed)
    assert np.array_equal(clip, before), "the input was changed"
    assert out.shape == clip.shape and out.dtype == np.float32
    assert np.isfinite(out).all() and out.min() >= 0 and out.max() <= 1
    assert np.array_equal(out, step.clip(clip, seed))


@pytest.mark.parametrize("name", KEEP_GRAY)
def test_gray_stays_gray(name: str, gray_clip: np.ndarray) -> None:
    for seed in range(3):
        assert np.ptp(drawn(name, seed).clip(gray_clip, seed), axis=3).max() < 1e-5


@pytest.mark.parametrize("name", ["gaussian_noise", "poisson_noise"])
def test_gray_noise_keeps_gray(name: str, gray_clip: np.ndarray) -> None:
    out = drawn(name, 0, gray=True).clip(gray_clip, 1)
    assert np.ptp(out, axis=3).max() < 1e-6 < np.abs(out - gray_clip).max()


@pytest.mark.parametrize("name", recipe_names())
def test_recipes_of_the_package(name: str, picture: np.ndarray) -> None:
    recipe = load_recipe(name)
    assert recipe.description and recipe.steps

    def degrade(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return recipe.draw(rng).picture(picture, rng)

    out = degrade(1)
    assert out.shape == picture.shape and not np.array_equal(out, picture)
    assert np.array_equal(out, degrade(1))
    if name != "super_resolution_x4":
        assert not np.array_equal(out, degrade(2))


def test_the_papers_and_the_project_are_there() -> None:
    assert {"gfpgan", "gpen", "super_resolution_x4", "blind_video", "old_film", "vhs"} <= set(
        recipe_names()
    )


def test_gfpgans_ranges_are_the_papers() -> None:
    steps = {step.name: step for step in load_recipe("gfpgan").steps}
    assert list(steps)[:5] == ["blur", "down", "gaussian_noise", "jpeg", "up"]
    found = {
        (name, field): yaml.safe_dump(value.model_dump(mode="json")).strip()
        for name, step in steps.items()
        for field, value in step
        if hasattr(value, "model_dump")
    }
    recipe = load_recipe("gfpgan")
    draws = [recipe.draw(np.random.default_rng(k)) for k in range(300)]
    factors = [one.steps[1].factor.value for one in draws]
    qualities = [one.steps[3].quality.whole for one in draws]
    sigmas = [one.steps[0].sigma_px.value for one in draws]
    same = [one.steps[0].sigma_px == one.steps[0].other_sigma_px for one in draws]
    assert ("blur", "kernel_px") in found
    assert 0.8 <= min(factors) < 1 and 7.5 < max(factors) <= 8
    assert min(qualities) == 60 and max(qualities) == 100
    assert 0.1 <= min(sigmas) < 0.5 and 9.5 < max(sigmas) <= 10
    assert np.mean(same) == pytest.approx(0.5, abs=0.08)
    assert np.mean([len(one.steps) > 5 for one in draws]) == pytest.approx(0.51, abs=0.08)


@pytest.mark.parametrize("name", ["gfpgan", "gpen"])
def test_the_papers_lengths_keep_their_share_of_the_picture(name: str) -> None:
    blurs = {}
    for size in (128, 256, 512, 1024):
        recipe = load_recipe(name).for_size(size)
        blurs[size] = recipe.steps[0]
        others = [step for step in recipe.steps if step.name != "blur"]
        assert others == [step for step in load_recipe(name).steps if step.name != "blur"]
    found = {size: (blur.sigma_px.high, blur.kernel_px.whole) for size, blur in blurs.items()}
    assert found == {128: (2.5, 11), 256: (5, 21), 512: (10, 41), 1024: (20, 81)}
    assert blurs[256].sigma_px.low == pytest.approx(0.05)


def test_all_lengths_in_pixels_scale_with_the_size_a_recipe_is_for() -> None:
    steps = [
        {"one_of": {"steps": [{"blur": {"sigma_px": {"log": [2, 8]}}}, {"motion_blur": {}}]}},
        {"blind_video": {"mixture": {"sigma_px": [0.4, 4.0], "motion_px": 2.0}}},
        {"grain": {"size_permille": 3}},
    ]
    still = {"motion_px": [0, 4]}
    recipe = parse_recipe({"for_px": 512, "still": still, "steps": steps})
    half = {
        "for_px": 256,
        "still": {"motion_px": [0, 2]},
        "steps": [
            {
                "one_of": {
                    "steps": [
                        {"blur": {"sigma_px": {"log": [1, 4]}}},
                        {"motion_blur": {"length_px": [1.5, 7.5]}},
                    ]
                }
            },
            {"blind_video": {"mixture": {"sigma_px": [0.2, 2.0], "motion_px": 1.0}}},
            steps[2],
        ],
    }
    assert recipe.for_size(256) == parse_recipe(half)
    assert parse_recipe(recipe.record()) == recipe
    unsaid = parse_recipe({"still": still, "steps": steps})
    assert unsaid.for_size(256) == unsaid


def test_blind_video_is_the_documented_protocol_bit_for_bit(picture: np.ndarray) -> None:
    for seed in range(5):
        rng = np.random.default_rng([0, seed])
        ours = load_recipe("blind_video").draw(rng).picture(picture, rng)
        rng = np.random.default_rng([0, seed])
        assert np.array_equal(ours, apply(picture, BlindVideo().draw(rng), rng))


@pytest.mark.parametrize("name", recipe_names())
def test_what_was_drawn_is_a_recipe_that_draws_the_same(name: str) -> None:
    once = load_recipe(name).draw(np.random.default_rng(4))
    told = json.loads(json.dumps(once.record()))
    assert parse_recipe(told).draw(np.random.default_rng(99)) == once


def test_probabilities_are_kept_and_one_of_chooses() -> None:
    recipe = parse_recipe(
        {
            "steps": [
                {"jpeg": {"probability": 0.25}},
                {"one_of": {"weights": [3, 1], "steps": ["grain", "weave"]}},
            ]
        }
    )
    draws = [recipe.draw(np.random.default_rng(seed)).steps for seed in range(400)]
    assert np.mean([len(steps) == 2 for steps in draws]) == pytest.approx(0.25, abs=0.06)
    assert np.mean([steps[-1].name == "grain" for steps in draws]) == pytest.approx(0.75, abs=0.06)


@pytest.mark.parametrize(
    "name", ["grain", "scratches", "dust", "flicker", "weave", "tape_noise", "line_jitter"]
)
def test_a_frames_noise_does_not_depend_on_what_came_before(
    name: str, gray_clip: np.ndarray
) -> None:
    """The same picture in every frame: frame n looks alike whatever the other frames hold."""
    step = drawn(name, 3)
    still = np.repeat(gray_clip[:1], 6, axis=0)
    mixed = still.copy()
    mixed[:5] = 1 - mixed[:5]
    assert np.array_equal(step.clip(still, 11)[5], step.clip(mixed, 11)[5])
    assert not np.array_equal(step.clip(still, 11)[5], step.clip(still, 11)[4])


def test_streams_are_taken_frame_by_frame(gray_clip: np.ndarray) -> None:
    recipe = parse_recipe({"steps": ["comb", "grain", "flicker", "scratches"]})
    read = 0

    def frames():
        nonlocal read
        for _ in range(100):
            read += 1
            yield gray_clip[read % 4]

    stream = recipe.draw(np.random.default_rng(0)).frames(frames(), 0)
    for given_back in range(1, 50):
        next(stream)
        assert read <= given_back + 2


def test_an_empty_recipe_changes_nothing(picture: np.ndarray) -> None:
    empty = Recipe().draw(np.random.default_rng(0))
    assert np.array_equal(empty.picture(picture, np.random.default_rng(0)), picture)


def test_down_without_up_comes_back_to_its_size(picture: np.ndarray) -> None:
    out = drawn("down", 0, factor=3).picture(picture, np.random.default_rng(0))
    assert out.shape == picture.shape


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"steps": [{"blr": {}}]}, "step 1: unknown step 'blr'; did you mean 'blur'"),
        ({"steps": ["jpeg", {"blur": {"sigm_px": 1}}]}, "step 2 .blur.: .*did you mean 'sigma_px'"),
        ({"steps": [{"blur": {"sigma_px": [3, 1]}}]}, "begins above its end"),
        ({"steps": [{"h264": {"crf": 99}}]}, "crf: must lie in 0 to 51"),
        ({"steps": [{"h264": {"preset": "vryfast"}}]}, "did you mean 'veryfast'"),
        ({"steps": [{"jpeg": {"quality": 60.5}}]}, "whole numbers"),
        ({"steps": [{"jpeg": {"probability": 2}}]}, "probability"),
        ({"steps": [{"blind_video": {"mixture": {"blur_sare": 1}}}]}, "did you mean 'blur_share'"),
        ({"steps": [{"blind_video": {"mixture": {"crf": [40, 20]}}}]}, r"crf: \[40, 20\] is no"),
        (
            {"steps": [{"blind_video": {"mixture": {"factor": [0, 4]}}}]},
            "factor: .* within 1 to 64",
        ),
        ({"steps": [{"one_of": {"steps": [{"jpeg": {"qualty": 3}}]}}]}, "'quality'"),
        ({"steps": [{"one_of": {"steps": ["jpeg"], "weights": [1, 2]}}]}, "as many weights"),
        ({"steps": [{"gaussian_noise": {"gray": 2}}]}, "a chance is"),
        ({"steps": [{"blur": 3}]}, "needs parameters with names"),
        ({"stps": []}, "unknown key 'stps'; did you mean 'steps'"),
        ({"steps": {}}, "a list of steps"),
        ([], "a list of steps"),
    ],
)
def test_mistakes_are_named(content: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_recipe(content, "mine")


SENSELESS = [float("inf"), float("-inf"), float("nan"), 1e300, 10**30]
PLACES = [
    *((name, (field,)) for name in ALONE for field in STEPS[name].model_fields),
    *(("blind_video", ("mixture", field.name)) for field in fields(BlindVideo)),
    *(("drawn_blind_video", ("degradation", field.name)) for field in fields(Degradation)),
    ("drawn_blind_video", ("degradation", "coding", "quality")),
]


def nested(path: tuple[str, ...], value: object) -> object:
    for key in reversed(path):
        value = {key: value}
    return value


@pytest.mark.parametrize(("name", "path"), PLACES, ids=lambda value: "".join(value))
def test_numbers_without_sense_are_refused_by_their_names(name: str, path: tuple[str, ...]) -> None:
    for bad in SENSELESS:
        for value in (bad, [0, bad], [bad, bad], {"log": [1, bad]}, [[0, 0], [0, bad]]):
            with pytest.raises(UsageError, match=rf"step 1 \({name}\): .*{path[-1]}") as caught:
                parse_recipe({"steps": [{name: nested(path, value)}]}, "mine")
            assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"still": {"frames": [1, float("inf")]}}, "still.frames.*finite"),
        ({"still": {"frames": 10**9}}, "frames: must lie in 1 to 64"),
        ({"still": {"frames": 0}}, "frames: must lie in 1 to 64"),
        ({"still": {"motion_px": float("inf")}}, "still.motion_px.*finite"),
        ({"still": {"motion_px": 1e9}}, "motion_px: must lie in 0 to 200"),
        ({"for_px": float("inf")}, "for_px: .*finite"),
        ({"for_px": 10**9}, "for_px: .*16384"),
        ({"steps": ["jpeg"] * 65}, "65 steps; a recipe has 64 at most"),
        ({"steps": [{"one_of": {"steps": ["jpeg"] * 65}}]}, "65 steps"),
        (
            {"steps": [{"one_of": {"steps": ["jpeg"], "weights": [float("inf")]}}]},
            "weights.0: .*finite",
        ),
        ({"steps": [{"one_of": {"steps": ["jpeg"], "weights": [1e300]}}]}, "weights.0: .*1000000"),
        (
            {"steps": [{"drawn_blind_video": {"degradation": {"motion_px": [[1, 2]]}}}]},
            "motion_px: needs 1 to 64 shifts, of which one is",
        ),
        (
            {
                "steps": [
                    {
                        "drawn_blind_video": {
                            "degradation": {"coding": {"codec": "h263", "quality": 9}}
                        }
                    }
                ]
            },
            "codec: unknown 'h263'",
        ),
    ],
)
def test_recipes_beyond_all_bounds_are_refused(content: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_recipe({"steps": [], **content}, "mine")


def test_lengths_that_would_be_too_long_at_another_size_are_refused() -> None:
    recipe = parse_recipe({"for_px": 16, "steps": [{"blur": {"sigma_px": 100}}]})
    with pytest.raises(UsageError, match=r"cannot be used for 512 px \(sigma_px: must lie in 0"):
        recipe.for_size(512)
    mixture = {"for_px": 16, "steps": [{"blind_video": {"mixture": {"sigma_px": [1, 100]}}}]}
    with pytest.raises(UsageError, match=r"cannot be used for 512 px \(sigma_px: .* no range"):
        parse_recipe(mixture).for_size(512)


def test_a_file_of_a_recipes_name_is_refused_where_a_user_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("vhs.yaml").write_text("steps: [h264]")
    cv2.imwrite("in.png", np.zeros((64, 64, 3), np.uint8))
    assert main(["degrade", "in.png", "out.png", "--recipe", "vhs"]) == 2
    assert "has a file vhs.yaml; write ./vhs.yaml" in capsys.readouterr().err
    assert main(["degrade", "in.png", "out.png", "--recipe", "./vhs.yaml"]) == 0
    assert [step.name for step in load_recipe("vhs").steps] != ["h264"]  # What the code means.


def test_recipes_from_files(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("steps:\n  - blur: {sigma_px: {log: [0.5, 4]}, probability: 0.5}\n  - h264\n")
    assert [step.name for step in load_recipe(path).steps] == ["blur", "h264"]
    path.write_text("steps: [")
    with pytest.raises(UsageError, match="not valid YAML"):
        load_recipe(path)
    with pytest.raises(UsageError, match="check the path"):
        load_recipe(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match="unknown recipe 'gfpgn'; did you mean 'gfpgan'"):
        load_recipe("gfpgn")
