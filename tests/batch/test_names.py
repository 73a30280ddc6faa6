"""Outputs are called as their sources; what would be one file is told before work."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidrestore.batch.names import check_names, choose_ending, output_name
from vidrestore.batch.state import make_id
from vidrestore.config import EncodeConfig
from vidrestore.errors import UsageError
from vidrestore.video.write.containers import CONTAINERS

NAMES = st.text(
    st.characters(exclude_characters="/\0\\", exclude_categories=["Cs"]), min_size=1, max_size=12
).filter(lambda name: name not in (".", ".."))
ENDINGS = st.sampled_from([".mp4", ".MOV", ".mkv", ".mpg", ".vob", ".webm", ".avi"])
PROFILES = st.sampled_from([None, "access", "ffv1", "prores_hq", "dnxhr_hqx", "proxy"])


@given(NAMES, NAMES, ENDINGS, PROFILES)
def test_stem_and_folder_stay(folder: str, stem: str, ending: str, profile: str | None) -> None:
    relative = Path(folder, f"{stem}{ending}")
    output = output_name(relative, EncodeConfig.model_validate({"profile": profile}))
    assert output.parent == relative.parent
    assert output.name[: -len(output.suffix)] == stem
    assert output.suffix.lower() in CONTAINERS


@given(st.lists(st.tuples(NAMES, ENDINGS), max_size=6, unique=True))
def test_names_pass_just_where_no_file_system_makes_two_of_them_one(
    names: list[tuple[str, str]],
) -> None:
    sources = [Path("in", stem + ending) for stem, ending in names]
    pairs = [(path, output_name(Path(path.name), EncodeConfig(profile="ffv1"))) for path in sources]
    if any(output.parts[0].casefold() == "vidrestore-batch" for _, output in pairs):
        return
    folded = {unicodedata.normalize("NFC", str(output)).casefold() for _, output in pairs}
    if len(folded) == len(pairs):
        check_names(pairs)
        assert len({make_id(str(output)) for _, output in pairs}) == len(pairs)
    else:
        with pytest.raises(UsageError, match="would both become"):
            check_names(pairs)


@pytest.mark.parametrize(
    ("ending", "options", "expected"),
    [
        (".MOV", {}, ".MOV"),
        (".vob", {}, ".mkv"),
        (".mp4", {"profile": "ffv1"}, ".mkv"),
        (".mp4", {"codec": "prores_ks"}, ".mkv"),
        (".avi", {"codec": "ffv1"}, ".avi"),
        (".mkv", {"profile": "prores_hq"}, ".mov"),
    ],
)
def test_endings(ending: str, options: dict[str, str], expected: str) -> None:
    assert choose_ending(ending, EncodeConfig.model_validate(options)) == expected


@pytest.mark.parametrize("output", ["/tmp/a.mkv", "../a.mkv", "vidrestore-batch/a.mkv"])
def test_outputs_lie_in_the_output_folder(output: str) -> None:
    with pytest.raises(UsageError, match="its output"):
        check_names([(Path("a.mov"), Path(output))])
