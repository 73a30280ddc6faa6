"""Values that a recipe leaves open, written in YAML as people would, and drawn once per clip.

    sigma_px: 3                 always 3
    sigma_px: [0.1, 10]         uniform
    sigma_px: {log: [0.3, 5]}   its logarithm is uniform
    gray: 0.4                   a chance: yes for 40 % of the clips
    preset: [fast, veryfast]    one of them

`draw` gives a value of the same kind in which nothing is open any more; `value` reads that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Any, TypeVar

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    model_serializer,
    model_validator,
)

from vidrestore.degradations.pixels import log_uniform
from vidrestore.errors import nearest

__all__ = [
    "Amount",
    "Angle",
    "Chance",
    "Choice",
    "Count",
    "Drawable",
    "Permille",
    "Range",
    "Share",
    "Sigma",
    "Signed",
    "Whole",
    "among",
    "between",
    "chance",
    "one_of",
    "uniform",
    "whole",
]

T = TypeVar("T", bound="Range")


class Drawable(BaseModel, ABC):
    """A value that may be open."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> Drawable:
        """The same with nothing open."""


class Range(Drawable):
    """A number between two bounds."""

    low: float
    high: float
    log: bool = False

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: Any) -> Any:
        if isinstance(given, dict) and set(given) == {"log"}:
            return {**_ends(given["log"]), "log": True}
        return given if isinstance(given, dict | Range) else _ends(given)

    @model_validator(mode="after")
    def _check(self) -> Range:
        if not self.low <= self.high:
            raise ValueError(f"[{self.low:g}, {self.high:g}] begins above its end")
        if self.log and self.low <= 0:
            raise ValueError(f"log needs numbers above 0, not {self.low:g}")
        return self

    @model_serializer
    def _write(self) -> Any:
        if self.low == self.high:
            return self.low
        return {"log": [self.low, self.high]} if self.log else [self.low, self.high]

    def draw(self, rng: np.random.Generator) -> Range:
        """A single number; nothing is taken from `rng` where it already is one."""
        if self.low == self.high:
            return self
        ends = (self.low, self.high)
        drawn = log_uniform(rng, ends) if self.log else float(rng.uniform(*ends))
        return type(self)(low=drawn, high=drawn)

    def scaled(self, factor: float) -> Range:
        """Both bounds times a factor."""
        return Range(low=self.low * factor, high=self.high * factor, log=self.log)

    @property
    def value(self) -> float:
        """The number, once drawn."""
        assert self.low == self.high, f"not drawn yet: {self!r}"
        return self.low


class Whole(Range):
    """A whole number between two bounds, both included."""

    def scaled(self, factor: float) -> Whole:
        """Both bounds times a factor, rounded."""
        return Whole(low=round(self.low * factor), high=round(self.high * factor))

    @model_validator(mode="after")
    def _check_whole(self) -> Whole:
        if self.low != int(self.low) or self.high != int(self.high) or self.log:
            raise ValueError(f"needs whole numbers, got [{self.low:g}, {self.high:g}]")
        return self

    @model_serializer
    def _write(self) -> Any:
        return self.whole if self.low == self.high else [int(self.low), int(self.high)]

    def draw(self, rng: np.random.Generator) -> Whole:
        """A single whole number."""
        if self.low == self.high:
            return self
        drawn = int(rng.integers(int(self.low), int(self.high), endpoint=True))
        return Whole(low=drawn, high=drawn)

    @property
    def whole(self) -> int:
        """The number, once drawn."""
        return int(self.value)


class Chance(Drawable):
    """Yes or no: the share of clips for which it is yes."""

    share: float

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: Any) -> Any:
        return given if isinstance(given, dict | Chance) else {"share": given}

    @model_validator(mode="after")
    def _check(self) -> Chance:
        if not 0 <= self.share <= 1:
            raise ValueError(f"a chance is true, false or from 0 to 1, not {self.share:g}")
        return self

    @model_serializer
    def _write(self) -> Any:
        return bool(self.share) if self.share in (0, 1) else self.share

    def draw(self, rng: np.random.Generator) -> Chance:
        """Certain or impossible."""
        return self if self.share in (0, 1) else Chance(share=float(rng.random() < self.share))

    def __bool__(self) -> bool:
        """Whether it is yes, once drawn."""
        assert self.share in (0, 1), f"not drawn yet: {self!r}"
        return self.share == 1


class Choice(Drawable):
    """One word of several; a word written twice is twice as likely."""

    words: tuple[str, ...]

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: Any) -> Any:
        if isinstance(given, str):
            return {"words": (given,)}
        return {"words": tuple(given)} if isinstance(given, list | tuple) else given

    @model_validator(mode="after")
    def _check(self) -> Choice:
        if not self.words:
            raise ValueError("needs at least one word")
        return self

    @model_serializer
    def _write(self) -> Any:
        return self.words[0] if len(self.words) == 1 else list(self.words)

    def draw(self, rng: np.random.Generator) -> Choice:
        """A single word."""
        if len(self.words) == 1:
            return self
        return Choice(words=(self.words[int(rng.integers(len(self.words)))],))

    @property
    def word(self) -> str:
        """The word, once drawn."""
        assert len(self.words) == 1, f"not drawn yet: {self!r}"
        return self.words[0]


def between(low: float, high: float) -> AfterValidator:
    """Bounds that a range must keep."""

    def check(given: T) -> T:
        if not low <= given.low <= given.high <= high:
            raise ValueError(
                f"must lie in {low:g} to {high:g}, not [{given.low:g}, {given.high:g}]"
            )
        return given

    return AfterValidator(check)


def among(*known: str) -> AfterValidator:
    """Words that a choice may hold."""

    def check(given: Choice) -> Choice:
        for word in given.words:
            if word not in known:
                raise ValueError(f"unknown {word!r}{nearest(word, known)}; known: {list(known)}")
        return given

    return AfterValidator(check)


Sigma = Annotated[Range, between(0, 200)]
Share = Annotated[Range, between(0, 1)]
Signed = Annotated[Range, between(-1, 1)]
Amount = Annotated[Range, between(0, 10)]
Permille = Annotated[Range, between(0, 1000)]
Count = Annotated[Range, between(0, 10_000)]
Angle = Annotated[Range, between(-7, 7)]


def uniform(low: float, high: float | None = None, *, log: bool = False) -> Range:
    """A range, or a single number; of `log`, the logarithm is uniform."""
    return Range(low=low, high=low if high is None else high, log=log)


def whole(low: int, high: int | None = None) -> Whole:
    """Whole numbers, or a single one."""
    return Whole(low=low, high=low if high is None else high)


def chance(share: float) -> Chance:
    """Yes for a share of the clips."""
    return Chance(share=share)


def one_of(*words: str) -> Choice:
    """One of these words."""
    return Choice(words=words)


def _ends(given: Any) -> dict[str, Any]:
    """Low and high of a number or a pair."""
    if isinstance(given, int | float) and not isinstance(given, bool):
        return {"low": given, "high": given}
    if isinstance(given, list | tuple) and len(given) == 2:
        return {"low": given[0], "high": given[1]}
    raise ValueError(f"needs a number, [low, high] or {{log: [low, high]}}, got {given!r}")
