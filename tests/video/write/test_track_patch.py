"""How a picture is to be shown arrives in the output: shape of pixels, crop, sphere, eyes, HDR."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rewriting import plan_job, rewrite
from videos import Audio, make_video

from vidrestore.video.container import matroska, mp4
from vidrestore.video.container.matroska import Element
from vidrestore.video.container.mp4 import Box
from vidrestore.video.picture.presentation import (
    Aperture,
    Presentation,
    Projection,
    display_size,
)
from vidrestore.video.read.probe import probe
from vidrestore.video.write.presentation import Shown
from vidrestore.video.write.track_patch import apply_patches, make_patch

PATCHED = (".mp4", ".mov", ".mkv")


@given(st.lists(st.tuples(st.binary(min_size=4, max_size=4), st.binary(max_size=40))))
def test_boxes_are_read_as_they_were_written(boxes: list[tuple[bytes, bytes]]) -> None:
    written = [Box(kind, content) for kind, content in boxes]
    assert list(mp4.boxes_in(b"".join(box.to_bytes() for box in written))) == written


@given(
    st.lists(
        st.tuples(st.sampled_from([0xEC, 0x54B0, 0x536E, 0x1654AE6B]), st.binary(max_size=200))
    )
)
def test_elements_are_read_as_they_were_written(elements: list[tuple[int, bytes]]) -> None:
    written = [Element(number, content) for number, content in elements]
    assert list(matroska.elements_in(b"".join(one.to_bytes() for one in written))) == written


@given(st.binary(max_size=300))
def test_no_bytes_break_the_readers(data: bytes) -> None:
    list(mp4.boxes_in(data))
    list(matroska.elements_in(data))


@given(st.integers(9, 70_000))
def test_an_empty_element_has_the_size_that_was_asked_for(count: int) -> None:
    data = matroska.void_of(count)
    assert len(data) == count
    assert [one.number for one in matroska.elements_in(data)] == [matroska.VOID]


SARS = st.sampled_from([(16, 11), (12, 11), (10, 11), (8, 9), (32, 27), (40, 33), (4, 3), (59, 54)])


@given(st.integers(96, 2000), st.integers(96, 2000), SARS)
def test_the_shown_size_has_the_picture_s_shape(
    width: int, height: int, sar: tuple[int, int]
) -> None:
    shape = Fraction(width, height) * Fraction(*sar)
    shown = Fraction(*display_size(width, height, Fraction(*sar)))
    assert abs(shown / shape - 1) < Fraction(1, 96)


@pytest.mark.parametrize("size", [(720, 576), (720, 486), (720, 480), (1440, 1080), (352, 288)])
@pytest.mark.parametrize("sar", [(16, 11), (12, 11), (10, 11), (40, 33), (8, 9), (32, 27), (4, 3)])
def test_the_shape_of_video_formats_is_exact(size: tuple[int, int], sar: tuple[int, int]) -> None:
    shape = Fraction(*size) * Fraction(*sar)
    assert Fraction(*display_size(*size, Fraction(*sar))) == shape


@pytest.mark.parametrize(
    ("codec", "ending"),
    [("ffv1", ".mkv"), ("libvpx-vp9", ".mkv"), ("libvpx-vp9", ".webm"), ("libx264", ".mkv")],
)
def test_the_shape_of_pixels_arrives_in_matroska(tmp_path: Path, codec: str, ending: str) -> None:
    source = make_video(tmp_path / "a.mp4", pts=range(4), size=(96, 64), sar=Fraction(16, 11))
    assert rewrite(source, tmp_path / f"out{ending}", codec=codec) == ()
    with av.open(str(tmp_path / f"out{ending}")) as written:
        assert written.streams.video[0].sample_aspect_ratio == Fraction(16, 11)


SPHERE = Projection(b"equi", (65536 * 30, -65536, 0), bytes(20))
MESH = Projection(b"mshp", (0, 0, 0), bytes(range(200)))
CROP = Aperture(Fraction(48), Fraction(40), Fraction(-2), Fraction(1))
MASTERING = tuple(
    Fraction(n, 50000) for n in (34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450)
)
MASTERING += (Fraction(1, 10000), Fraction(1000))


def write_shown(
    path: Path, told: Presentation, title: str = "", sar: Fraction = Fraction(1)
) -> Path:
    """A file whose container says `told`."""
    muxer = "matroska" if path.suffix == ".mkv" else path.suffix[1:]
    shown = Shown((64, 48), Fraction(1), told, MASTERING, (1000, 400))
    patch = make_patch(0, title, shown, muxer)
    assert patch is not None
    # With its list of tracks before the pictures, and after them: bytes that must not move.
    make_video(
        path, pts=range(4), audio=[Audio(seconds=0.2)], video_metadata={"title": patch.keeps_room}
    )
    size = path.stat().st_size
    apply_patches(path, muxer, [patch])
    assert path.stat().st_size == size
    return path


def title_of(path: Path) -> str | None:
    with av.open(str(path)) as file:
        told = file.streams.video[0].metadata
        return told.get("title", told.get("name"))


TOLD = [
    Presentation(aperture=CROP),
    Presentation(stereo=3, projection=SPHERE),
    Presentation(stereo=1, projection=MESH, aperture=CROP),
    Presentation(stereo=11),
]


@pytest.mark.parametrize("told", TOLD)
@pytest.mark.parametrize("first", PATCHED)
def test_what_is_said_goes_through_every_pair_of_containers(
    tmp_path: Path, told: Presentation, first: str
) -> None:
    source = write_shown(tmp_path / f"in{first}", told, title="the view")
    found = probe(source)
    assert found.presentation == told
    assert (
        found.streams[0].metadata.get("title", found.streams[0].metadata.get("name")) == "the view"
    )
    for second in PATCHED:
        out = tmp_path / f"out{second}"
        assert rewrite(source, out) == ()
        assert probe(out).presentation == told
        assert title_of(out) == "the view"
        with av.open(str(out)) as written:
            assert len(list(written.decode(video=0))) == 4
            assert written.streams.audio[0].codec_context.name == "aac"


@pytest.mark.parametrize("ending", PATCHED)
def test_hdr_masters_are_told_by_the_container(tmp_path: Path, ending: str) -> None:
    source = probe(write_shown(tmp_path / f"in{ending}", Presentation()))
    assert source.mastering == pytest.approx(MASTERING)
    assert source.light_level == (1000, 400)
    out = tmp_path / "out.mkv"
    rewrite(source.path, out, codec="ffv1")
    assert probe(out).mastering == pytest.approx(MASTERING)
    assert probe(out).light_level == (1000, 400)


def test_the_words_of_version_1_stay_in_mp4_and_are_translated_for_matroska(tmp_path: Path) -> None:
    xml = b"<rdf><GSpherical:StereoMode>top-bottom</GSpherical:StereoMode></rdf>"
    source = write_shown(tmp_path / "in.mp4", Presentation(spherical_xml=xml))
    rewrite(source, tmp_path / "out.mp4")
    rewrite(source, tmp_path / "out.mkv")
    assert probe(tmp_path / "out.mp4").presentation.spherical_xml == xml
    told = probe(tmp_path / "out.mkv").presentation
    assert (told.stereo, told.projection) == (3, replace(SPHERE, pose=(0, 0, 0)))


def test_boxes_of_mp4_alone_are_kept_there_and_named_elsewhere(tmp_path: Path) -> None:
    told = Presentation(boxes=((b"amve", b"\0\1\2\3\4\5\6\7"), (b"hfov", b"\0\0\xfa\0")))
    source = write_shown(tmp_path / "in.mov", told)
    assert rewrite(source, tmp_path / "out.mp4") == ()
    assert probe(tmp_path / "out.mp4").presentation == told
    assert "amve, hfov" in rewrite(source, tmp_path / "out.mkv")[0]


@pytest.mark.parametrize("told", [Presentation(aperture=CROP), Presentation(projection=SPHERE)])
def test_what_a_container_cannot_tell_is_named_before_work(
    tmp_path: Path, told: Presentation
) -> None:
    source = write_shown(tmp_path / "in.mp4", told)
    for ending in (".ts", ".avi", ".nut"):
        job = plan_job(source, tmp_path / f"out{ending}")
        assert job.output is not None
        assert any(".mp4 and .mov tell it" in note for note in job.output.notes)


@pytest.mark.parametrize("name", ["clap", "vr360"])
@pytest.mark.parametrize("ending", PATCHED)
def test_the_public_cases_keep_what_they_say(
    shared: Path, tmp_path: Path, name: str, ending: str
) -> None:
    source = shared / "cases" / "stream_crop_and_360_lost" / f"{name}.mp4"
    rewrite(source, tmp_path / f"out{ending}")
    assert probe(tmp_path / f"out{ending}").presentation == probe(source).presentation
