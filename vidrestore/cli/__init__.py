"""The command line. `main` is the entry point; each command is a file of its own."""

from __future__ import annotations

from vidrestore.cli.main import main

__all__ = ["main"]
