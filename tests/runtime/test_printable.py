# ruff: noqa: RUF001
"""Text from outside does nothing to a terminal, and files hold valid UTF-8."""

from __future__ import annotations

import json
import logging
import os

import pytest

from vidrestore.cli.terminal import PrintableFormatter
from vidrestore.runtime.printable import printable, well_formed, well_formed_record


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\nvidrestore: wrote b\r\n", "a\\nvidrestore: wrote b\\r\\n"),
        ("\x00\x07\x08\x7f\x85\x9b2J", "\\x00\\x07\\x08\\x7f\\x85\\x9b2J"),
        (
            "safe\u202egpj.exe\u2066\u2069\u200f\u061c",
            "safe\\u202egpj.exe\\u2066\\u2069\\u200f\\u061c",
        ),
        ("one\u2028two\u2029", "one\\u2028two\\u2029"),
        (os.fsdecode(b"caf\xe9"), "caf\\xe9"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("\ufeff", "\\ufeff"),
        ("tab\t", "tab\\t"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, said: str) -> None:
    assert printable(text) == said


@pytest.mark.parametrize(
    "text",
    [
        "plain C:\\folder\\x",
        "naïve café",
        "日本語",
        "العربية",
        "می\u200cخواهم",
        "👩\u200d🚀",
        "…→°",
    ],
)
def test_ordinary_text_in_any_script_stays(text: str) -> None:
    assert printable(text) == text
    assert well_formed(text) == text


def test_records_become_valid_utf8() -> None:
    name = os.fsdecode(b"caf\xe9.mp4")
    record = well_formed_record({"file": name, name: [1, (name, None)], "title": "a\nb"})
    assert record == {
        "file": "caf\\xe9.mp4",
        "caf\\xe9.mp4": [1, ["caf\\xe9.mp4", None]],
        "title": "a\nb",
    }
    json.dumps(record, ensure_ascii=False).encode("utf-8")


def test_a_log_line_stays_one_line_and_a_traceback_cannot_pose_as_one() -> None:
    formatter = PrintableFormatter("%(levelname)s %(message)s")
    try:
        raise ValueError("x\nvidrestore: wrote y")
    except ValueError as error:
        trace = (type(error), error, error.__traceback__)
    record = logging.LogRecord("a", logging.INFO, "", 0, "said %s", ("\x1b]0;t\x07\n",), trace)
    lines = formatter.format(record).split("\n")
    assert lines[0] == "INFO said \\x1b]0;t\\x07\\n"
    assert len(lines) > 2 and all(line.startswith("    ") for line in lines[1:])
    assert record.exc_info == trace
