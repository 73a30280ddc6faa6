"""Steps hand their numbers on to the functions that they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from vidrestore.degradations import (
    colour,
    colour_steps,
    film_steps,
    optics,
    picture_steps,
    tape,
    tape_steps,
)
from vidrestore.degradations.ranges import uniform
from vidrestore.degradations.step import ClipStep, Step
from vidrestore.degradations.steps import STEPS
from vidrestore.degradations.timeline import Timeline

HEIGHT, WIDTH = 40, 56
TIMES = Timeline((3,), HEIGHT, WIDTH)

NEUTRAL: dict[str, dict[str, object]] = {
    "gaussian_noise": {"sigma": 0},
    "down": {"factor": 1},
    "up": {},
    "grain": {"strength": 0},
    "scratches": {"count": 0},
    "dust": {"specks": 0, "hairs": 0},
    "flicker": {"amount": 0, "uneven": 0},
    "weave": {"amount_permille": 0},
    "fade": {"red": 1, "green": 1, "blue": 1, "stain_green": 0, "stain_blue": 0},
    "contrast": {"black": 0, "white": 1, "gamma": 1},
    "colour_shift": {"red": 0, "green": 0, "blue": 0},
    "colour_jitter": {"brightness": 1, "contrast": 1, "saturation": 1, "hue": 0},
    "chroma_shift": {"x_permille": 0, "y_permille": 0},
    "chroma_subsample": {"x": 1, "y": 1},
    "smear": {"luma_permille": 0, "chroma_permille": 0},
    "edge_boost": {"amount": 0},
    "tape_noise": {"luma": 0, "chroma": 0},
    "line_jitter": {"amount_permille": 0},
    "dropouts": {"count": 0},
}


@pytest.fixture
def clip() -> np.ndarray:
    return np.random.default_rng(0).uniform(0.05, 0.95, (3, HEIGHT, WIDTH, 3)).astype(np.float32)


def through(step: Step, clip: np.ndarray) -> np.ndarray:
    drawn = step.draw(np.random.default_rng(1))
    assert isinstance(drawn, ClipStep)
    return np.stack(list(drawn.apply(clip, TIMES)))


@pytest.mark.parametrize("name", NEUTRAL)
def test_a_step_of_no_strength_changes_nothing(name: str, clip: np.ndarray) -> None:
    step = STEPS[name].model_validate(NEUTRAL[name])
    np.testing.assert_allclose(through(step, clip), clip, atol=2e-6)


def test_a_drawn_step_is_certain_and_gives_its_frames_in_order(clip: np.ndarray) -> None:
    step = picture_steps.GaussianNoise(probability=0.2)
    drawn = step.draw(np.random.default_rng(1))
    assert drawn.probability == 1 and drawn.sigma.low == drawn.sigma.high
    whole = through(step, clip)
    assert not np.array_equal(whole[0] - clip[0], whole[1] - clip[1]), "noise is fresh"
    assert np.array_equal(whole, through(step, clip))


def test_only_lengths_in_pixels_grow_with_the_picture() -> None:
    blur = picture_steps.Blur(sigma_px=uniform(2, 4), shape=uniform(1, 2)).scaled(0.5)
    assert (blur.sigma_px, blur.shape) == (uniform(1, 2), uniform(1, 2))
    odd = picture_steps.Blur.model_validate({"kernel_px": [21, 41]}).scaled(0.5).kernel_px
    assert (odd.low, odd.high) == (11, 21)


def test_picture_steps_are_their_functions(clip: np.ndarray) -> None:
    step = picture_steps.MotionBlur(length_px=uniform(7), angle=uniform(0.3))
    expected = np.clip(optics.convolve(clip[0], optics.motion_kernel(7, 0.3)), 0, 1)
    np.testing.assert_array_equal(through(step, clip)[0], expected)


def test_colour_steps_are_their_functions(clip: np.ndarray) -> None:
    step = colour_steps.BlackAndWhite.model_validate({"stock": "orthochromatic"})
    expected = colour.grayscale(clip[0], colour.STOCKS["orthochromatic"])
    np.testing.assert_array_equal(through(step, clip)[0], expected)


def test_tape_steps_measure_in_the_height_of_the_video(clip: np.ndarray) -> None:
    step = tape_steps.ChromaShift(x_permille=uniform(50), y_permille=uniform(25))
    np.testing.assert_array_equal(through(step, clip)[0], tape.chroma_shift(clip[0], 2, 1))


def test_film_steps_vary_over_time_but_not_with_where_reading_began(clip: np.ndarray) -> None:
    still = np.repeat(clip[:1], 6, axis=0)
    step = film_steps.Flicker(amount=uniform(0.1))
    out = through(step, still)
    assert len({frame.tobytes() for frame in out}) == 6
    drawn = step.draw(np.random.default_rng(1))
    again = np.stack(list(drawn.apply(still[:4], TIMES)))
    np.testing.assert_array_equal(out[:4], again)
