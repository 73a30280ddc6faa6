"""The text of a filter graph is read as FFmpeg reads it; what is wrong is said in one line."""

from __future__ import annotations

import pytest
from native import random_frame

from vidrestore.video.picture.filter_graph import FilterError, FilterGraph
from vidrestore.video.picture.filter_text import FilterCall, parse_filters


def test_quotes_backslashes_and_labels() -> None:
    assert parse_filters("drawtext=text='a\\:b, c' , crop=w=min(iw\\,20) [x] ; [x] hflip@me") == [
        [
            FilterCall("drawtext", "text=a\\:b, c"),
            FilterCall("crop", "w=min(iw,20)", outputs=("x",)),
        ],
        [FilterCall("hflip", "", inputs=("x",))],
    ]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("null", (32, 24)),
        ("crop=16:8:0:0,scale=w='min(iw\\,12)':h=10", (12, 10)),
        ("[in]hflip[out]", (32, 24)),
        ("split[a][b];[a]hflip[c];[b][c]hstack", (64, 24)),
        ("split [a] [b];\n[a] vflip [c];\n[b][c] vstack [out]", (32, 48)),
    ],
)
def test_graphs_that_work(text: str, size: tuple[int, int]) -> None:
    frame = random_frame("yuv420p", 32, 24)
    graph = FilterGraph(frame, text)
    graph.push(frame)
    given = graph.pull()
    assert given is not None and (given.width, given.height) == size
    assert (given.pts, given.time_base) == (frame.pts, frame.time_base)
    assert graph.pull() is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "name is missing at the end"),
        ("hflip,", "name is missing at the end"),
        ("hflip,,vflip", "name is missing before ',vflip'"),
        ("hflip]", "']' is not expected"),
        ("split[a", "label is not closed"),
        ("crop='16", "quote is not closed"),
        ("hflp", "did you mean 'hflip'"),
        ("crop=colour=1", "does not take 'colour=1'"),
        ("crop=64:64", "do not go together"),
        ("split[a]", "label 'a' leads nowhere"),
        ("hflip[a];[a]vflip[a]", "label 'a' is there twice"),
        ("hflip;vflip", "vflip needs a label"),
        ("color=red", "cannot be linked"),
        ("split", "do not go together"),
    ],
)
def test_graphs_that_do_not(text: str, told: str) -> None:
    with pytest.raises(FilterError) as error:
        FilterGraph(random_frame("yuv420p", 32, 24), text)
    assert told in str(error.value)
    assert "\n" not in str(error.value)
