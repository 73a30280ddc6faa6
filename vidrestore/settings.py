"""Read YAML that a user or a stranger wrote: presets, training configurations, degradation recipes.

Everything is bounded before it is built: the size of the file, its depth, how many entries it has,
how long a number is. Anchors, aliases, tags and duplicate keys are refused, dates stay text. What
is wrong is one line with the file and the place.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from vidrestore.errors import UsageError, VidRestoreError, nearest
from vidrestore.runtime.inputs import is_bare_name, read_bytes

__all__ = [
    "PRESETS",
    "TRAINING_PRESETS",
    "find_settings",
    "parse_yaml",
    "read_yaml",
    "settings_names",
    "shown",
]

_INSTALLED = Path(__file__).parent / "presets"
PRESETS = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[1] / "configs"
"""The folder of presets: `configs/` of a checkout, which is installed inside the package."""
TRAINING_PRESETS = PRESETS / "train"
"""The folder of training recipes."""

_MOST_BYTES = 1_000_000
_MOST_DEPTH = 20
_MOST_NODES = 20_000
_MOST_DIGITS = 40
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Refused(ValueError):
    """YAML of a kind that no settings file needs."""


class _Loader(_Base):  # type: ignore[misc]
    """Numbers of sane length, no key twice, no dates and no merging of tables."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [
            (tag, pattern)
            for tag, pattern in resolvers
            if tag not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:merge")
        ]
        for first, resolvers in _Base.yaml_implicit_resolvers.items()
    }


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    table: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise _Refused(f"a key that is no text{_place(key_node.start_mark)}")
        key = loader.construct_object(key_node)
        if key in table:
            raise _Refused(f"{shown(key)} is given twice{_place(key_node.start_mark)}")
        table[key] = loader.construct_object(value_node, deep=True)
    return table


def _number(construct: Callable[[Any, yaml.ScalarNode], Any]) -> Callable[[Any, Any], Any]:
    def checked(loader: Any, node: yaml.ScalarNode) -> Any:
        if len(node.value) > _MOST_DIGITS:
            raise _Refused(f"a number of {len(node.value)} digits{_place(node.start_mark)}")
        return construct(loader, node)

    return checked


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:int", _number(_Base.construct_yaml_int))
_Loader.add_constructor("tag:yaml.org,2002:float", _number(_Base.construct_yaml_float))


def read_yaml(path: Path, named: str, error: type[VidRestoreError] = UsageError) -> Any:
    """Read a settings file.

    Args:
        path: the file.
        named: how messages call it, such as "configuration mine.yaml".
        error: what to raise.

    Returns:
        Dictionaries, lists, texts, numbers, booleans and None.

    Raises:
        VidRestoreError: as `error`: it is missing, no regular file, too large, or no such YAML.
    """
    data = read_bytes(path, named, _MOST_BYTES, error)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        raise error(f"{named}: not a text file in UTF-8; name a YAML file") from cause
    return parse_yaml(text, named, error)


def settings_names(folder: Path) -> list[str]:
    """Return the names of the settings files in a folder that ships, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def find_settings(given: str | Path, folder: Path, kind: str) -> Path:
    """Find the settings file that a user means by the name of one that ships, or by a path.

    Args:
        given: a text without a slash, a drive and `.yaml` is a name; every `Path` is a path.
        folder: where the files that ship lie.
        kind: how messages call one, such as "preset".

    Returns:
        The path of a file; one that was given as a path may not exist.

    Raises:
        UsageError: no file that ships has the name, or a file in the current folder has it too.
    """
    if isinstance(given, Path) or not is_bare_name(given) or given.endswith((".yaml", ".yml")):
        return Path(given)
    names = settings_names(folder)
    beside = [name for name in (given, f"{given}.yaml", f"{given}.yml") if Path(name).is_file()]
    if beside:
        known = f"rename it to take the {kind}" if given in names else f"no {kind} has this name"
        raise UsageError(
            f"{kind} {shown(given)}: the current folder has a file {beside[0]}; write "
            f"./{beside[0]} to read that file ({known})"
        )
    if given not in names:
        raise UsageError(
            f"unknown {kind} {shown(given)}{nearest(given, names)}; known: {', '.join(names)}; "
            "a file of your own is given by its path, such as ./mine.yaml"
        )
    return folder / f"{given}.yaml"


def parse_yaml(text: str, named: str, error: type[VidRestoreError] = UsageError) -> Any:
    """Parse YAML under the bounds of `read_yaml`, which see."""
    if len(text) > _MOST_BYTES:
        raise error(f"{named}: longer than {_MOST_BYTES} characters")
    try:
        _check_events(text)
        return yaml.load(text, _Loader)
    except _Refused as cause:
        raise error(f"{named}: {cause}") from cause
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as cause:
        raise error(f"{named}: not valid YAML ({_words(cause)})") from cause


def shown(value: object) -> str:
    """Return a value for a message, shortened."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 60
    return short.repr(value)


def _check_events(text: str) -> None:
    depth = nodes = 0
    for event in yaml.parse(text, Loader=_Base):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _Refused(
                f"anchors and aliases (& and *) are not allowed{_place(event.start_mark)}; "
                "write the value out"
            )
        if getattr(event, "tag", None) not in (None, "!"):
            raise _Refused(f"tags (!) are not allowed{_place(event.start_mark)}")
        nodes += isinstance(event, yaml.NodeEvent)
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _MOST_DEPTH:
            raise _Refused(f"nested deeper than {_MOST_DEPTH} levels{_place(event.start_mark)}")
        if nodes > _MOST_NODES:
            raise _Refused(f"more than {_MOST_NODES} entries{_place(event.start_mark)}")


def _place(mark: Any) -> str:
    return "" if mark is None else f" (line {mark.line + 1})"


def _words(cause: Exception) -> str:
    mark = getattr(cause, "problem_mark", None)
    problem = getattr(cause, "problem", None) or str(cause).split("\n")[0] or type(cause).__name__
    return f"{problem[:160]}{_place(mark)}"
