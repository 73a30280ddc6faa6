"""What an output cannot hold, and ways that were tried and do hold it.

A refusal knows which options would lift it. `advise` tries these, and other endings, with all that
the input holds, so that what a message names works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, TypeAlias

from vidrestore.config import EncodeConfig
from vidrestore.errors import VideoWriteError, VidRestoreError

__all__ = ["Option", "Refusal", "advise"]

Option: TypeAlias = tuple[Literal["drop", "audio", "codec", "profile"], str]
"""An option of `EncodeConfig` and a value, or (drop) one more of its values."""

Attempt: TypeAlias = Callable[[str, EncodeConfig], object]
"""Plan the output with another ending and other options; raises `VidRestoreError`."""

_ENDINGS = (".mp4", ".mov", ".mkv", ".webm", ".ts")
_RARE_ENDINGS = (".m2ts", ".avi", ".nut", ".3gp", ".flv")
"""Named where none of the others will do."""

_MOST_STEPS = 32


class Refusal(VideoWriteError):
    """The output cannot hold something.

    Args:
        what: the message, without advice.
        options: each of which would lift this refusal.
    """

    def __init__(self, what: str, options: Iterable[Option] = ()) -> None:
        super().__init__(what)
        self.options = tuple(options)


def advise(refusal: Refusal, ending: str, config: EncodeConfig, attempt: Attempt) -> str:
    """Ways out of a refusal, as the end of its message.

    Args:
        refusal: what was met first.
        ending: of the output, such as '.mp4'.
        config: as given.
        attempt: plans the output.
    """
    endings = _endings_that_work(_ENDINGS, config, attempt)
    endings = endings or _endings_that_work(_RARE_ENDINGS, config, attempt)
    ways = [f"write {' or '.join(endings)}"] if endings else []
    chains = [_chain(option, ending, config, attempt) for option in refusal.options]
    added = list(dict.fromkeys(_shown(chain) for chain in chains if chain))
    ways += [f"add {' or '.join(added)}"] if added else []
    if not ways:  # another ending and further options at once
        ways = list(_both(refusal.options, config, attempt))
    if not ways:
        return (
            "nothing here holds all of it; convert the video first, for example with "
            "`ffmpeg -i INPUT -map 0:v -map 0:a? -c:v ffv1 -c:a flac OUTPUT.mkv`"
        )
    return ", or ".join(ways)


def _endings_that_work(endings: Iterable[str], config: EncodeConfig, attempt: Attempt) -> list[str]:
    return [ending for ending in endings if _works(ending, config, attempt)]


def _works(ending: str, config: EncodeConfig, attempt: Attempt) -> bool:
    try:
        attempt(ending, config)
    except VidRestoreError:
        return False
    return True


def _both(options: Iterable[Option], config: EncodeConfig, attempt: Attempt) -> Iterator[str]:
    for ending in (".mkv", ".mov", ".mp4"):
        for option in options:
            chain = _chain(option, ending, config, attempt)
            if chain:
                yield f"write {ending} with {_shown(chain)}"
                return


def _chain(
    first: Option, ending: str, config: EncodeConfig, attempt: Attempt
) -> tuple[Option, ...]:
    """`first` and what else it takes; empty where that leads nowhere."""
    chain: list[Option] = []
    following: Option | None = first
    while following is not None and following not in chain and len(chain) < _MOST_STEPS:
        chain.append(following)
        config = _applied(config, following)
        try:
            attempt(ending, config)
        except Refusal as refusal:
            following = _like(first, refusal.options)
            if following is not None and following[0] in {name for name, _ in chain} - {"drop"}:
                break  # it would replace what the chain begins with
            continue
        except VidRestoreError:
            break
        return tuple(chain)
    return ()


def _like(first: Option, options: tuple[Option, ...]) -> Option | None:
    """The option of the same kind as the first one, so that one answer goes through."""
    if first[0] in ("codec", "profile"):
        options = tuple(one for one in options if one[0] not in ("codec", "profile"))
    alike = (option for option in options if option[0] == first[0])
    return next(alike, options[-1] if options else None)


def _applied(config: EncodeConfig, option: Option) -> EncodeConfig:
    name, value = option
    return config.model_copy(
        update={name: (*config.drop, value) if name == "drop" else value}
        | ({"crf": None} if name == "codec" else {})
    )


def _shown(chain: tuple[Option, ...]) -> str:
    dropped = ",".join(value for name, value in chain if name == "drop")
    others = [f"--{name} {value}" for name, value in chain if name != "drop"]
    return " ".join([*others, *([f"--drop {dropped}"] if dropped else [])])
