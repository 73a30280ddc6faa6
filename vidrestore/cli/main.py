"""Entry point: finds the command, sets up logging and signals, turns errors into exit codes.

Exit codes: 0 done, 1 failed, 2 usage, 3 some videos of a batch failed; ended by a signal 129
(hang-up), 130 (Ctrl-C), 131 (quit) or 143 (terminated).
"""

from __future__ import annotations

import logging
from importlib import import_module

import click

import vidrestore
from vidrestore.cli.signals import EndedBySignal, end_on_signals
from vidrestore.cli.terminal import accept_any_text, echo, quieten_encoders, show_usage_error
from vidrestore.errors import (
    BatchFailedError,
    NotEnoughMemoryError,
    UsageError,
    VidRestoreError,
)
from vidrestore.runtime.memory import is_out_of_memory, keep_freed_memory
from vidrestore.runtime.output_file import abandon_outputs
from vidrestore.runtime.system_libraries import explain_import_error
from vidrestore.runtime.thread_pools import let_idle_threads_sleep

__all__ = ["main"]

COMMANDS = {
    "restore": "vidrestore.cli.restore",
    "batch": "vidrestore.cli.batch",
    "inspect": "vidrestore.cli.inspect",
    "probe": "vidrestore.cli.probe",
    "jobs": "vidrestore.cli.jobs",
    "models": "vidrestore.cli.models",
    "demo": "vidrestore.cli.demo",
    "bench": "vidrestore.cli.bench",
    "degrade": "vidrestore.cli.degrade",
    "evaluate": "vidrestore.cli.evaluate",
    "train": "vidrestore.cli.train",
    "export": "vidrestore.cli.export",
}
"""Commands and the modules that hold them, loaded when used."""


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
    """Restore the faces in a video: steady over time, in sync, all else carried over.

    \b
    vidrestore tape.mp4 restored.mp4
    vidrestore tape.mp4 restored.mp4 --strength 0.7 --preview before_after.png
    """  # noqa: D301 - click wants the very character


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    keep_freed_memory()
    let_idle_threads_sleep()
    accept_any_text()
    quieten_encoders()
    try:
        with end_on_signals():
            cli.main(arguments, prog_name="vidrestore", standalone_mode=False)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        return show_usage_error(error)
    except UsageError as error:
        return _say(error, 2)
    except BatchFailedError as error:
        return _say(error, 3)
    except VidRestoreError as error:
        said: object = _out_of_memory(error) or explain_import_error(error) or error
        return _say(_with_notes(said, error), 1)
    except EndedBySignal as error:
        said = "ended by a signal; nothing was left half-written"
        return _say(_with_notes(said, error), error.exit_code)
    except (KeyboardInterrupt, click.Abort) as error:
        return _say(_with_notes("interrupted; nothing was left half-written", error), 130)
    except BrokenPipeError:
        return 1
    except Exception as error:
        if said := _out_of_memory(error) or explain_import_error(error):
            return _say(said, 1)
        logging.getLogger("vidrestore").debug("unexpected error", exc_info=True)
        named = f"{type(error).__name__}: {error}".splitlines()[0]
        return _say(f"unexpected error, {named} (run again with -vv for details)", 1)
    finally:
        abandon_outputs()
    return 0


def _out_of_memory(error: Exception) -> str | None:
    """What to say of an error that memory is to blame for, whatever it says itself."""
    if isinstance(error, NotEnoughMemoryError) or not is_out_of_memory(error):
        return None
    return (
        "out of memory; close other programs, or lower --run.queue-frames, --align.window-s, "
        "--temporal-filter.reach-frames or --max-faces"
    )


def _with_notes(said: object, error: BaseException) -> str:
    """What to say of an error, and of what was kept."""
    return "; ".join([str(said), *getattr(error, "__notes__", ())])


def _say(message: object, code: int) -> int:
    echo("vidrestore: " + " ".join(str(message).split()), err=True)
    return code
