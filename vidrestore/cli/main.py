"""Entry point: finds the command, sets up logging and signals, turns errors into exit codes.

Exit codes: 0 done, 1 failed, 2 usage, 130 interrupted (Ctrl-C), 143 terminated (SIGTERM).
"""

from __future__ import annotations

import logging
import signal
import sys
from importlib import import_module
from types import FrameType

import click

import vidrestore
from vidrestore.cli.terminal import accept_any_text, echo, show_usage_error
from vidrestore.errors import UsageError, VidRestoreError
from vidrestore.memory import keep_freed_memory

__all__ = ["main"]

COMMANDS = {
    "restore": "vidrestore.cli.restore",
    "inspect": "vidrestore.cli.inspect",
    "probe": "vidrestore.cli.probe",
    "models": "vidrestore.cli.models",
    "demo": "vidrestore.cli.demo",
    "bench": "vidrestore.cli.bench",
    "degrade": "vidrestore.cli.degrade",
    "evaluate": "vidrestore.cli.evaluate",
    "train": "vidrestore.cli.train",
    "export": "vidrestore.cli.export",
}
"""Commands and the modules that hold them, loaded when used."""


class _Terminated(BaseException):
    """SIGTERM arrived; unwinds like Ctrl-C so that nothing half-written is left."""


class _Commands(click.Group):
    """`vidrestore IN OUT` is `vidrestore restore IN OUT`; commands load when they are named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[name]), name)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {"--help", "-h", "--version"}
        if args and args[0] not in COMMANDS and args[0] not in own:
            args = ["restore", *args]
        return super().parse_args(ctx, args or ["--help"])


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    options_metavar="",
    subcommand_metavar="INPUT OUTPUT [OPTIONS]  |  COMMAND …",
    epilog="Options of the main job: vidrestore restore --help",
)
@click.version_option(vidrestore.__version__, prog_name="vidrestore")
def cli() -> None:
    """Restore the faces in a video: steady over time, in sync, nothing else touched.

    \b
    vidrestore tape.mp4 restored.mp4
    vidrestore tape.mp4 restored.mp4 --strength 0.7 --preview before_after.png
    """


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    keep_freed_memory()
    accept_any_text()
    before = signal.getsignal(signal.SIGTERM)
    try:
        signal.signal(signal.SIGTERM, _terminate)
        cli.main(arguments, prog_name="vidrestore", standalone_mode=False)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        return show_usage_error(error)
    except UsageError as error:
        return _say(error, 2)
    except VidRestoreError as error:
        return _say(error, 1)
    except (KeyboardInterrupt, click.Abort):
        print("vidrestore: interrupted; nothing was left half-written", file=sys.stderr)
        return 130
    except _Terminated:
        return 143
    except BrokenPipeError:
        return 1
    except Exception as error:
        logging.getLogger("vidrestore").debug("unexpected error", exc_info=True)
        named = f"{type(error).__name__}: {error}".splitlines()[0]
        return _say(f"unexpected error, {named} (run again with -vv for details)", 1)
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def _say(message: object, code: int) -> int:
    echo("vidrestore: " + " ".join(str(message).split()), err=True)
    return code


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated
