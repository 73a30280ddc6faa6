"""The networks of a worker, which stay loaded from video to video."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from vidrestore.config import RestoreConfig
from vidrestore.jobs.networks import Networks
from vidrestore.session import Session, networks_of

__all__ = ["Sessions"]

_OF_RUN = {"noise", "measure_noise", "conceal_defects"}
"""Options of the stage "restore" that need no other network."""


class Sessions:
    """The session of a worker: networks stay loaded from video to video while they are the same."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._key: dict[str, Any] | None = None

    def get(self, config: RestoreConfig) -> Session:
        """A session whose networks are those of `config`."""
        key = config.restore.model_dump(exclude=_OF_RUN) | {
            "detector": config.detect.detector,
            "detector_backend": config.detect.backend,
            "device": config.run.device,
        }
        if self._session is None or key != self._key:
            self.close()
            self._session, self._key = Session(config), key
        return self._session

    def loader(self, config: RestoreConfig) -> Callable[[RestoreConfig], Networks]:
        """What gives those networks for a run."""
        return partial(networks_of, self.get(config))

    def close(self) -> None:
        """Let go of the networks."""
        if self._session is not None:
            self._session.close()
            self._session = None
