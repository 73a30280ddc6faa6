"""Text from outside (names, titles, messages of other programs) made safe to print or to store.

`printable` is for one line on a terminal; `well_formed` and `well_formed_record` are for files,
which must be valid UTF-8. Neither changes ordinary text in any script.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

__all__ = ["printable", "well_formed", "well_formed_record"]

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_JOINERS = "\u200c\u200d"
"""Format characters that scripts and emoji need, and that move no other text."""
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories: controls, format (bidirectional overrides), surrogates, line separators."""


def printable(text: object) -> str:
    r"""Return one line that can do nothing to a terminal but be read.

    Control and escape characters, line ends, bidirectional overrides and bytes that are no UTF-8
    appear as escapes such as `\\x1b` or `\\u202e`.

    Args:
        text: anything; its `str` is taken.
    """
    line = str(text)
    if line.isascii() and line.isprintable():
        return line
    return "".join(_escaped(char) if _is_unsafe(char) else char for char in line)


def well_formed(text: str) -> str:
    r"""Return text that UTF-8 can hold: a byte of a name that is no UTF-8 appears as `\\xe9`."""
    if text.isascii():
        return text
    return "".join(_escaped(char) if unicodedata.category(char) == "Cs" else char for char in text)


def well_formed_record(value: Any) -> Any:
    """Apply `well_formed` to all texts of a record for JSON, keys included."""
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, Mapping):
        return {well_formed_record(key): well_formed_record(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [well_formed_record(one) for one in value]
    return value


def _is_unsafe(char: str) -> bool:
    return unicodedata.category(char) in _UNSAFE and char not in _JOINERS


def _escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # How Python keeps a byte of a file name that is no UTF-8.
        code -= 0xDC00
    if code < 0x100:
        return _SHORT.get(char, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
