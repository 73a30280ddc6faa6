"""Public types are importable from `vidrestore`, and a type checker knows them."""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

import vidrestore

CHECKOUT = Path(__file__).parents[1]
INSTALLED = Path(vidrestore.__file__).parent
FUNCTIONS = [n for n in vidrestore.__all__ if inspect.isfunction(getattr(vidrestore, n))]

EXAMPLE = """
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidrestore import (
    FaceRecord, FaceRestorer, Frame, Progress, RestoreConfig, RestoreReport, StreamInfo, Tracks,
    UsageError, VideoInfo, VideoOpenError, frame_to_rgb, inspect_video, load_restorer, probe,
    restore_frames, restore_image, restore_video,
)


def show(progress: Progress) -> None:
    print(progress.frames, progress.seconds_left)


def run(src: Path, dst: Path) -> RestoreReport:
    settings: RestoreConfig = RestoreConfig()
    report = restore_video(src, dst, config=settings, strength=0.8, progress=show)
    faces: tuple[FaceRecord, ...] = report.tracks
    print(report.frames_per_s, [face.restored_frames for face in faces])
    return report


def pictures(src: str) -> Iterator[npt.NDArray[np.uint8]]:
    try:
        frames: Iterator[Frame] = restore_frames(src, config="old_film")
        yield from (frame_to_rgb(frame) for frame in frames)
    except (UsageError, VideoOpenError) as error:
        print(error)


info: VideoInfo = probe("in.mp4")
streams: tuple[StreamInfo, ...] = tuple(info.streams)
tracks: Tracks = inspect_video("in.mp4")
restorer: FaceRestorer = load_restorer("embedded")
image: npt.NDArray[np.uint8] = restore_image(np.zeros((64, 64, 3), np.uint8))
"""


def test_an_example_is_type_checked_against_the_package(tmp_path: Path) -> None:
    script = tmp_path / "example.py"
    wrong = EXAMPLE + '\nwrong: int = probe("in.mp4")\nrestore_video("in.mp4", 3)\n'
    script.write_text(wrong, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", str(script)]  # Its cache is that of `mypy` alone.
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if "example.py" in line]
    assert len(lines) == 2, done.stdout + done.stderr
    assert "[assignment]" in lines[0] and "[arg-type]" in lines[1]


def test_the_package_says_that_it_is_typed() -> None:
    assert (INSTALLED / "py.typed").is_file()


def classes_in(annotation: Any, module: str) -> Iterator[type]:
    """Classes of the package that an annotation names, also through aliases."""
    if isinstance(annotation, str):
        known = vars(sys.modules[module])
        for word in re.findall(r"[A-Za-z_]\w*", annotation):
            yield from classes_in(known.get(word), module)
    elif inspect.isclass(annotation) and annotation.__module__.startswith("vidrestore"):
        yield annotation
    else:
        for part in get_args(annotation):
            yield from classes_in(part, module)


def types_of(function: Any) -> set[type]:
    annotations = inspect.get_annotations(function).values()
    return {found for one in annotations for found in classes_in(one, function.__module__)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_a_function_takes_or_gives_is_importable(name: str) -> None:
    found = types_of(getattr(vidrestore, name))
    results = found - {vidrestore.RestoreConfig}  # Its parts are written as options.
    fields = {inner for one in results for inner in types_of(one) if inner.__name__[0] != "_"}
    for one in found | fields:
        assert getattr(vidrestore, one.__name__, None) is one, f"{name}: {one}"


def test_what_methods_take_or_give_is_importable() -> None:
    plain = [
        one
        for one in (getattr(vidrestore, name) for name in vidrestore.__all__)
        if inspect.isclass(one) and not issubclass(one, BaseException)
    ]
    for one in plain:
        said = ("__call__",) if dataclasses.is_dataclass(one) else ("__call__", "__init__")
        for name, method in vars(one).items():
            if inspect.isfunction(method) and (name[0] != "_" or name in said):
                for found in types_of(method):
                    assert getattr(vidrestore, found.__name__, None) is found, f"{one}.{name}"


def test_the_tables_of_public_names_agree() -> None:
    homes = vidrestore._HOMES
    assert sorted([*homes, "__version__"]) == sorted(vidrestore.__all__)
