"""Read a pickled weights file's instructions without following them, before torch does.

torch's restricted unpickler runs no code, but it can be made to work for ever or to ask for any
amount of memory: by tables nested in keys, by storages larger than the file, by views beyond their
storage, by archives that unpack to more than they are. `check_weights_file` follows the pickle's
instructions (`pickletools`) with stand-ins for everything they would make, and lets through only
what tables of tensors need.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

__all__ = ["UnsafeWeights", "check_weights_file"]

_MOST_OPCODES = 2_000_000
_MOST_DEPTH = 32
_MOST_PICKLE_BYTES = 1 << 26
_MOST_RECORDS = 100_000
_MOST_UNPACKED = 2
"""Times the archive's own size that its records may take."""
_LEGACY_PICKLES = 5
"""Of torch's format without an archive: magic, version, machine, content, keys of the storages."""

_BYTES = {
    **{"torch.DoubleStorage": 8, "torch.LongStorage": 8, "torch.ComplexFloatStorage": 8},
    **{"torch.FloatStorage": 4, "torch.IntStorage": 4},
    **{"torch.HalfStorage": 2, "torch.BFloat16Storage": 2, "torch.ShortStorage": 2},
    **{"torch.CharStorage": 1, "torch.ByteStorage": 1, "torch.BoolStorage": 1},
    "torch.storage.UntypedStorage": 1,
}
"""Storages, and the bytes of one value."""
_TABLES = ("collections.OrderedDict", "collections.Counter")
_TENSORS = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2")
_DTYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8")
_ALLOWED = {
    *_BYTES,
    *_TABLES,
    *_TENSORS,
    "torch._utils._rebuild_parameter",
    "torch.Size",
    "torch.device",
    *(f"torch.{name}" for name in (*_DTYPES, "bool")),
}


class UnsafeWeights(ValueError):
    """What is wrong with a file, in a few words; `runs` is what loading it would run."""

    def __init__(self, words: str, runs: str | None = None) -> None:
        super().__init__(words)
        self.runs = runs


class _Item:
    """A stand-in for a value: what it is, and how deep it is nested."""

    __slots__ = ("depth", "placed", "value")

    def __init__(self, value: Any, depth: int = 0) -> None:
        self.value = value
        self.depth = depth
        self.placed = False
        """Whether it lies in another one, and so is complete."""


class _Global(str):
    """The name of something in a module."""


class _Table:
    """A dictionary of any kind; its contents do not matter."""


class _Storage:
    def __init__(self, values: int) -> None:
        self.values = values


def check_weights_file(path: Path) -> None:
    """Follow a file's pickles without making anything.

    Raises:
        UnsafeWeights: it holds, or would take, more than tables of tensors need.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(4)  # By these, torch chooses how it reads.
        file.seek(0)
        if head == b"PK\x03\x04":
            _check_archive(file, path.stat().st_size)
        elif head[:1] == b"\x80":
            _check_legacy(file, path.stat().st_size)
        else:
            raise UnsafeWeights("damaged or no weights file")


def _check_archive(file: IO[bytes], size: int) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            records = archive.infolist()
            _check_records(records, size)
            sizes = {record.filename: record.file_size for record in records}
            pickles = [record for record in records if record.filename.endswith(".pkl")]
            for record in pickles:
                if record.file_size > _MOST_PICKLE_BYTES:
                    raise UnsafeWeights(f"a table of {record.file_size} bytes")
                root = record.filename.rpartition("/")[0]

                def held(key: str, root: str = root) -> int:
                    return sizes.get(f"{root}/data/{key}", 0)

                _Walk(held).follow(io.BytesIO(archive.read(record)))
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise UnsafeWeights(f"damaged or no weights file ({error})") from error


def _check_records(records: list[zipfile.ZipInfo], size: int) -> None:
    if len(records) > _MOST_RECORDS:
        raise UnsafeWeights(f"an archive of {len(records)} records")
    if len({record.filename for record in records}) < len(records):
        raise UnsafeWeights("an archive with two records of one name")
    unpacked = sum(record.file_size for record in records)
    if sum(record.compress_size for record in records) > size or unpacked > _MOST_UNPACKED * size:
        raise UnsafeWeights(f"an archive of {size} bytes that unpacks to {unpacked}")


def _check_legacy(file: IO[bytes], size: int) -> None:
    taken = 0

    def held(key: str) -> int:
        return size - taken

    for _ in range(_LEGACY_PICKLES):
        walk = _Walk(held)
        walk.follow(file)
        taken += walk.bytes_asked
        if taken > size:
            raise UnsafeWeights(
                f"damaged or no weights file (it asks for {taken} bytes and has {size})"
            )


class _Walk:
    """A walk through one pickle.

    Args:
        held: bytes that the file holds for the storage of a key.
    """

    def __init__(self, held: Callable[[str], int]) -> None:
        self._held = held
        self._stack: list[_Item] = []
        self._marks: list[int] = []
        self._memo: dict[int, _Item] = {}
        self._asked: dict[str, int] = {}

    @property
    def bytes_asked(self) -> int:
        """Of all storages together."""
        return sum(self._asked.values())

    def follow(self, file: IO[bytes]) -> None:
        """Read up to the pickle's end.

        Raises:
            UnsafeWeights: see `check_weights_file`.
        """
        try:
            for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
                if count > _MOST_OPCODES:
                    raise UnsafeWeights(f"a table of more than {_MOST_OPCODES} instructions")
                self._do(opcode.name, argument)
        except UnsafeWeights:
            raise
        except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
            raise UnsafeWeights(f"damaged or no weights file ({error})"[:200]) from error

    def _do(self, name: str, argument: Any) -> None:
        if name in _PLAIN:
            self._stack.append(_Item(argument))
        elif name in _CONSTANTS:
            self._stack.append(_Item(_CONSTANTS[name]()))
        elif name in _STEPS:
            _STEPS[name](self, argument)
        else:
            raise UnsafeWeights(f"an instruction {name} that no table of weights has")

    def global_(self, argument: str) -> None:
        name = argument.replace(" ", ".")
        if name not in _ALLOWED:
            raise UnsafeWeights(f"loading it would run {name}", runs=name)
        self._stack.append(_Item(_Global(name)))

    def mark(self, _: object) -> None:
        self._marks.append(len(self._stack))

    def put(self, argument: int) -> None:
        self._memo[argument] = self._stack[-1]

    def get(self, argument: int) -> None:
        self._stack.append(self._memo[argument])

    def tuple_(self, count: int | None) -> None:
        self._stack.append(self._within(tuple, self._take(count)))

    def append(self, _: object) -> None:
        self._fill(self._take(1), list)

    def appends(self, _: object) -> None:
        self._fill(self._take(None), list)

    def set_item(self, _: object) -> None:
        self._set(self._take(2))

    def set_items(self, _: object) -> None:
        self._set(self._take(None))

    def reduce(self, _: object) -> None:
        function, arguments = self._take(2)
        if not isinstance(function.value, _Global) or not isinstance(arguments.value, tuple):
            raise UnsafeWeights("a call of what is no function")
        made = _Item(_made(function.value, arguments.value), arguments.depth)
        self._stack.append(made)

    def build(self, _: object) -> None:
        [state] = self._take(1)
        self._fill([state], _Table)
        if not isinstance(state.value, _Table):
            raise UnsafeWeights("a table with a state that is none")

    def storage(self, _: object) -> None:
        """('storage', its type, key, place, values), and perhaps more."""
        [item] = self._take(1)
        kind, of_type, key, _, values, *_ = [one.value for one in item.value]
        if kind != "storage" or not isinstance(key, str) or not isinstance(values, int):
            raise UnsafeWeights("a reference that is no storage")
        asked = values * _BYTES[of_type]
        if values < 0 or asked > self._held(key):
            raise UnsafeWeights(
                f"damaged or no weights file (it asks for {asked} bytes more than it holds)"
            )
        self._asked[key] = max(asked, self._asked.get(key, 0))
        self._stack.append(_Item(_Storage(values)))

    def nothing(self, _: object) -> None:
        """An instruction without effect."""

    def _take(self, count: int | None) -> list[_Item]:
        """The last items of the stack; None: all behind the last mark."""
        begin = self._marks.pop() if count is None else len(self._stack) - count
        if begin < (self._marks[-1] if self._marks else 0):
            raise ValueError("its stack is empty")
        taken, self._stack[begin:] = self._stack[begin:], []
        return taken

    def _within(self, kind: type, items: list[_Item]) -> _Item:
        made = _Item(kind(items))
        self._nest(made, items)
        return made

    def _fill(self, items: list[_Item], kind: type) -> None:
        target = self._stack[-1]
        if not isinstance(target.value, kind) or target.placed:
            raise UnsafeWeights("a list or table that is changed after it was used")
        if isinstance(target.value, list):
            target.value.extend(items)
        self._nest(target, items)

    def _set(self, items: list[_Item]) -> None:
        if any(not isinstance(key.value, str | int | float | None) for key in items[::2]):
            raise UnsafeWeights("a table with keys that are neither names nor numbers")
        self._fill(items, _Table)

    def _nest(self, target: _Item, items: list[_Item]) -> None:
        for item in items:
            item.placed = True
            target.depth = max(target.depth, item.depth + 1)
        if target.depth > _MOST_DEPTH:
            raise UnsafeWeights(f"nested deeper than {_MOST_DEPTH} levels")


def _made(function: _Global, arguments: tuple[_Item, ...]) -> object:
    values = [argument.value for argument in arguments]
    if function in _TABLES:
        if values and not isinstance(values[0], _Table):
            _check_pairs(values[0])
        return _Table()
    if function in _TENSORS:
        _check_view(*values[:4])
    return object()


def _check_pairs(pairs: Any) -> None:
    for pair in pairs:
        if len(pair.value) != 2 or not isinstance(pair.value[0].value, str | int):
            raise UnsafeWeights("a table with keys that are neither names nor numbers")


def _check_view(storage: Any, offset: int, size: Any, stride: Any) -> None:
    """A view beyond its storage makes torch enlarge the storage."""
    if not isinstance(storage, _Storage) or offset < 0:
        raise UnsafeWeights("a tensor of no storage")
    sizes, strides = ([one.value for one in part] for part in (size, stride))
    if len(sizes) != len(strides) or min([*sizes, *strides], default=0) < 0:
        raise UnsafeWeights("a tensor without a shape")
    values = last = 1
    for length, step in zip(sizes, strides, strict=True):
        values, last = values * length, last + (length - 1) * step
    if values and (values > storage.values or offset + last > storage.values):
        raise UnsafeWeights(f"a tensor of {values} values, of which the file has {storage.values}")


_PLAIN = frozenset(
    (
        *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
        *("BINUNICODE", "SHORT_BINUNICODE", "BINSTRING", "SHORT_BINSTRING"),
    )
)
_CONSTANTS: Mapping[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": _Table,
}
_STEPS: Mapping[str, Callable[[_Walk, Any], None]] = {
    "GLOBAL": _Walk.global_,
    "MARK": _Walk.mark,
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _Walk.put),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _Walk.get),
    "TUPLE": lambda walk, _: walk.tuple_(None),
    "TUPLE1": lambda walk, _: walk.tuple_(1),
    "TUPLE2": lambda walk, _: walk.tuple_(2),
    "TUPLE3": lambda walk, _: walk.tuple_(3),
    "APPEND": _Walk.append,
    "APPENDS": _Walk.appends,
    "SETITEM": _Walk.set_item,
    "SETITEMS": _Walk.set_items,
    "REDUCE": _Walk.reduce,
    "BUILD": _Walk.build,
    "BINPERSID": _Walk.storage,
    **dict.fromkeys(("PROTO", "STOP"), _Walk.nothing),
}
"""What a table of tensors takes; everything else is refused."""
