"""The one way from the program to the terminal: what comes from outside is escaped here."""

from __future__ import annotations

import logging
import os
import sys

import click

from vidrestore.runtime.printable import printable

__all__ = ["PrintableFormatter", "accept_any_text", "echo", "quieten_encoders", "show_usage_error"]


def echo(*lines: object, err: bool = False) -> None:
    """Print lines, each of which stays one line whatever it holds.

    Args:
        *lines: one or more lines; a line end inside one is escaped.
        err: print to stderr.
    """
    for line in lines:
        click.echo(printable(line), err=err)


def show_usage_error(error: click.ClickException) -> int:
    """Print what is wrong with the command line as one line; return the exit code."""
    context = getattr(error, "ctx", None)
    hint = f" (see '{context.command_path} --help')" if context is not None else ""
    message = " ".join(error.format_message().split())
    message = message.removesuffix(".") if hint else message
    echo(f"vidrestore: {message}{hint}", err=True)
    return error.exit_code


class PrintableFormatter(logging.Formatter):
    """Escape log messages; indent every line of a traceback, so that none can pose as one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as it is printed."""
        said, record.exc_text = record.exc_text, None
        error, record.exc_info = record.exc_info, None
        try:
            lines = [printable(super().format(record))]
        finally:
            record.exc_info, record.exc_text = error, said
        if error:
            lines += [f"    {printable(line)}" for line in self._traceback(error)]
        return "\n".join(lines)

    def _traceback(self, error: object) -> list[str]:
        return self.formatException(error).split("\n")  # type: ignore[arg-type]


def quieten_encoders() -> None:
    """Let SVT-AV1, which prints by itself, tell of errors only; a value that is set stays."""
    os.environ.setdefault("SVT_LOG", "1")


def accept_any_text() -> None:
    """Let stdout show as an escape what its encoding lacks, as stderr does, instead of failing."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
