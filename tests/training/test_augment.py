"""Augmentation of a discriminator's input: identity at 0, ranges, gradients, draws, ADA."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidrestore.training.augment import AdaController, AdaptiveAugment, DiffAugment


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 2, size: int = 16) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=seeded(99)) * 2 - 1


def smooth(count: int, size: int = 32) -> torch.Tensor:
    """A soft blob off the middle, where bilinear sampling is exact enough to compare."""
    y, x = np.mgrid[:size, :size] / size
    blob = np.exp(-((x - 0.4) ** 2 + (y - 0.55) ** 2) / 0.02).astype(np.float32)
    return torch.from_numpy(blob).expand(count, 3, size, size)


def test_probability_0_is_the_identity() -> None:
    batch = pictures()
    assert torch.equal(DiffAugment(probability=0)(batch, seeded()), batch)
    assert torch.equal(AdaptiveAugment()(batch, 0.0, seeded()), batch)


def test_pictures_that_no_step_hits_stay_as_they_were() -> None:
    batch = pictures(4)
    found = AdaptiveAugment()(batch, 1e-9, seeded())
    assert torch.allclose(found, batch, atol=1e-5)


@pytest.mark.parametrize("policy", [("colour",), ("translation",), ("cutout",)])
def test_every_step_changes_the_pictures(policy: tuple[str, ...]) -> None:
    batch = pictures(4)
    found = DiffAugment(policy)(batch, seeded())
    assert found.shape == batch.shape
    assert all(not torch.equal(a, b) for a, b in zip(found, batch, strict=True))


@settings(max_examples=25, deadline=None)
@given(size=st.sampled_from([8, 16, 24]), seed=st.integers(0, 999))
def test_translation_moves_whole_pixels_by_an_eighth_at_most(size: int, seed: int) -> None:
    batch = pictures(1, size)
    found = DiffAugment(("translation",))(batch, seeded(seed))
    most = size // 8
    padded = torch.nn.functional.pad(batch, [most] * 4)
    shifts = [
        padded[:, :, most + dy : most + dy + size, most + dx : most + dx + size]
        for dy in range(-most, most + 1)
        for dx in range(-most, most + 1)
    ]
    assert sum(torch.equal(found, shifted) for shifted in shifts) == 1


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999))
def test_cutout_blanks_one_square_of_half_the_side(seed: int) -> None:
    found = DiffAugment(("cutout",))(torch.ones(1, 3, 32, 32), seeded(seed))[0, 0]
    rows, columns = (found == 0).any(1), (found == 0).any(0)
    assert 8 <= int(rows.sum()) <= 17
    assert 8 <= int(columns.sum()) <= 17
    assert int((found == 0).sum()) == int(rows.sum()) * int(columns.sum())
    assert set(found.unique().tolist()) == {0.0, 1.0}


def test_colour_keeps_the_order_of_grey_values() -> None:
    ramp = torch.linspace(-1, 1, 64).view(1, 1, 8, 8).expand(5, 3, 8, 8)
    found = DiffAugment(("colour",))(ramp, seeded())
    assert (found.flatten(2).diff(dim=2) > 0).all()
    assert torch.allclose(found[:, 0], found[:, 1], atol=1e-6), "grey stays grey"


@pytest.mark.parametrize(
    "augment",
    [DiffAugment(), lambda x, source: AdaptiveAugment()(x, 0.8, source)],
    ids=["diffaugment", "ada"],
)
class TestBoth:
    def test_gradients_pass(self, augment: DiffAugment) -> None:
        batch = pictures(4).requires_grad_()
        augment(batch, seeded()).square().sum().backward()
        assert batch.grad.isfinite().all()
        assert (batch.grad.abs().sum((1, 2, 3)) > 0).all()

    def test_the_generator_decides(self, augment: DiffAugment) -> None:
        torch.manual_seed(1)
        first = augment(pictures(), seeded(5))
        torch.manual_seed(2)
        assert torch.equal(augment(pictures(), seeded(5)), first)
        assert not torch.equal(augment(pictures(), seeded(6)), first)

    def test_nothing_global_is_drawn(self, augment: DiffAugment) -> None:
        before = torch.get_rng_state()
        augment(pictures(), seeded())
        assert torch.equal(torch.get_rng_state(), before)

    def test_a_generator_a_picture_makes_them_independent(self, augment: DiffAugment) -> None:
        batch = pictures(4)
        together = augment(batch, [seeded(k) for k in range(4)])
        halves = [augment(batch[k : k + 2], [seeded(k), seeded(k + 1)]) for k in (0, 2)]
        assert torch.allclose(together, torch.cat(halves), atol=1e-6)

    def test_too_few_generators_are_an_error(self, augment: DiffAugment) -> None:
        with pytest.raises(ValueError, match="1 generators for 2 pictures"):
            augment(pictures(2), [seeded()])

    def test_short_formats_and_autocast_give_float32(self, augment: DiffAugment) -> None:
        exact = augment(pictures(), seeded(3))
        with torch.autocast("cpu", torch.bfloat16):
            found = augment(pictures(), seeded(3))
        assert torch.equal(found, exact)
        assert augment(pictures().bfloat16(), seeded(3)).dtype == torch.float32


def test_an_unknown_step_is_an_error() -> None:
    with pytest.raises(ValueError, match="no steps \\['color'\\]; known: colour"):
        DiffAugment(("color",))


def test_colour_steps_keep_grey_neutral_and_geometry_keeps_values() -> None:
    grey = smooth(8)
    coloured = AdaptiveAugment(geometry=False)(grey, 1.0, seeded())
    assert torch.allclose(coloured[:, 0], coloured[:, 2], atol=1e-4)
    assert (coloured - grey).abs().amax((1, 2, 3)).min() > 0.01
    moved = AdaptiveAugment(colour=False)(grey, 1.0, seeded())
    assert moved.min() >= -1e-6
    assert moved.max() <= 1 + 1e-6
    assert (moved - grey).abs().amax((1, 2, 3)).min() > 0.05


def test_the_share_of_untouched_pictures_follows_the_probability() -> None:
    """Four steps, and half the time an inversion: (1 - p)^4 (1 - p / 2)."""
    batch = pictures(2000, 4)
    p = 0.2
    found = AdaptiveAugment(geometry=False)(batch, p, seeded())
    untouched = ((found - batch).abs().amax((1, 2, 3)) < 1e-5).float().mean()
    assert float(untouched) == pytest.approx((1 - p) ** 4 * (1 - p / 2), abs=0.04)


def test_upright_never_turns_a_face_on_its_side() -> None:
    """The direction of a ramp says how far the picture was turned, up to mirroring."""
    ramp = torch.linspace(-1, 1, 32).view(1, 1, 32, 1).expand(200, 3, 32, 32)

    def steepest(upright: bool) -> torch.Tensor:
        augment = AdaptiveAugment(colour=False, upright=upright)
        middle = augment(ramp, 1.0, seeded())[:, 0, 12:20, 12:20]
        down = middle.diff(dim=1).mean((1, 2))
        across = middle.diff(dim=2).mean((1, 2))
        return torch.atan2(across.abs(), down).abs()

    assert float(steepest(upright=True).max()) < 1.2
    assert float(steepest(upright=False).max()) > 2.5


def test_a_quarter_turn_by_hand() -> None:
    """With only mirroring and quarter turns left, the picture is one of the square's symmetries."""
    from vidrestore.training import augment

    batch = pictures(1, 8)
    quarter = augment._rotation(torch.tensor([np.pi / 2]))
    found = augment._sample(batch, quarter)
    symmetries = [batch.rot90(k, (2, 3)) for k in (1, 3)]
    assert any(torch.allclose(found, each, atol=1e-4) for each in symmetries)


class TestController:
    def test_certainty_raises_the_probability_and_doubt_lowers_it(self) -> None:
        controller = AdaController(images=100, interval=2)
        for _ in range(6):
            controller.update(torch.full((5, 1), 3.0))
        assert controller.probability == pytest.approx(0.3)
        for _ in range(2):
            controller.update(torch.tensor([[1.0], [-1.0], [1.0], [-1.0], [1.0]]))
        assert controller.probability == pytest.approx(0.2)

    def test_it_changes_only_every_interval(self) -> None:
        controller = AdaController(images=100, interval=4)
        seen = []
        for _ in range(8):
            controller.update(torch.ones(5, 1))
            seen.append(controller.probability)
        assert seen == pytest.approx([0, 0, 0, 0.2, 0.2, 0.2, 0.2, 0.4])

    @settings(max_examples=30, deadline=None)
    @given(shares=st.lists(st.floats(0, 1), min_size=1, max_size=30))
    def test_it_stays_a_probability(self, shares: list[float]) -> None:
        controller = AdaController(images=20, interval=1)
        for share in shares:
            controller.update((torch.rand(8, generator=seeded()) < share).float() - 0.5)
            assert 0 <= controller.probability <= 1

    def test_it_settles_where_the_target_is(self) -> None:
        """A discriminator whose certainty falls as augmentation grows ends at the target."""
        controller = AdaController(images=2000, interval=1)
        generator = seeded()
        for _ in range(400):
            positive = (1 + (1 - controller.probability)) / 2  # r = 1 - p
            draws = torch.rand(32, generator=generator)
            controller.update(torch.where(draws < positive, 1.0, -1.0))
        assert controller.probability == pytest.approx(0.4, abs=0.1)

    def test_it_goes_on_from_its_state(self) -> None:
        whole, first = (AdaController(images=100, interval=3) for _ in range(2))
        for step in range(10):
            whole.update(torch.ones(4, 1))
            if step < 5:
                first.update(torch.ones(4, 1))
        second = AdaController(images=100, interval=3)
        second.load_state_dict(first.state_dict())
        for _ in range(5):
            second.update(torch.ones(4, 1))
        assert second.probability == whole.probability > 0
        assert second.state_dict() == whole.state_dict()
