"""The text of a filter graph, as FFmpeg's `-vf` takes it, taken apart.

    filter=options,filter=options            one after the other
    split[a][b];[a]hflip[c];[b][c]blend      labels lead from one chain to another

PyAV adds filters one by one and cannot read such a text itself.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FilterCall", "parse_filters"]

_SPACE = " \n\t\r"
_ENDS = "[],;"


@dataclass(frozen=True, slots=True)
class FilterCall:
    """One filter of a graph."""

    name: str
    options: str
    """As the filter reads them; '' for none."""
    inputs: tuple[str, ...] = ()
    """Labels of what it takes; empty for what comes before it in its chain."""
    outputs: tuple[str, ...] = ()
    """Labels of what it gives; empty for what comes after it in its chain."""


def parse_filters(text: str) -> list[list[FilterCall]]:
    """The chains of a graph.

    Raises:
        ValueError: the text is none; says where.
    """
    reader = _Reader(text)
    chains = [[reader.filter()]]
    while reader.skip(",") or reader.skip(";"):
        if reader.before == ";":
            chains.append([])
        chains[-1].append(reader.filter())
    reader.require_end()
    return chains


class _Reader:
    """Goes through the text once."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    @property
    def before(self) -> str:
        """The character just read."""
        return self._text[self._at - 1]

    def skip(self, character: str) -> bool:
        """Whether the next character is this one, which is then read."""
        self._skip_space()
        is_next = self._text.startswith(character, self._at)
        self._at += is_next
        return is_next

    def filter(self) -> FilterCall:
        inputs = self._labels()
        call = self._token()
        name, _, options = call.partition("=")
        name = name.partition("@")[0].strip()
        if not name:
            raise ValueError(f"a filter's name is missing{self._place()}")
        return FilterCall(name, options, inputs, self._labels())

    def require_end(self) -> None:
        self._skip_space()
        if self._at < len(self._text):
            raise ValueError(f"{self._text[self._at]!r} is not expected{self._place()}")

    def _labels(self) -> tuple[str, ...]:
        found = []
        while self.skip("["):
            end = self._text.find("]", self._at)
            label = self._text[self._at : end].strip()
            if end < 0 or not label:
                raise ValueError(f"a label is not closed, or empty{self._place()}")
            found.append(label)
            self._at = end + 1
        return tuple(found)

    def _token(self) -> str:
        """Up to the next separator; one level of quotes and backslashes is taken away."""
        self._skip_space()
        kept, quoted, solid = "", False, 0
        while self._at < len(self._text):
            character = self._text[self._at]
            if not quoted and character in _ENDS:
                break
            self._at += 1
            if character == "'":
                quoted = not quoted
            elif character == "\\" and not quoted:
                kept += self._text[self._at : self._at + 1]
                self._at += 1
            else:
                kept += character
                if not quoted:
                    continue
            solid = len(kept)
        if quoted:
            raise ValueError(f"a quote is not closed{self._place()}")
        return kept[:solid] + kept[solid:].rstrip(_SPACE)

    def _skip_space(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in _SPACE:
            self._at += 1

    def _place(self) -> str:
        rest = self._text[self._at : self._at + 20]
        return f" before {rest!r}" if rest else " at the end"
