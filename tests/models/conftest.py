"""Fixtures of these tests: a server of weights, an empty home, rows of the zoo."""

from weights_server import home, row, server

__all__ = ["home", "row", "server"]
