"""What an output cannot hold is refused with ways that work: every one of them is taken here."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from rewriting import plan_job, rewrite
from videos import Audio, Chapter, Subtitle, make_video, packets_of

from vidrestore.errors import UsageError, VideoWriteError


def refused(source: Path, destination: Path, **encode: Any) -> str:
    with pytest.raises(VideoWriteError) as caught:
        plan_job(source, destination, **encode)
    return str(caught.value)


def ways(message: str) -> list[tuple[str | None, dict[str, Any]]]:
    """(other ending, options) of each way that a message names."""
    told = message.partition("; ")[2]
    write, _, added = told.partition(", or add ") if told.startswith("write") else ("", "", told)
    found: list[tuple[str | None, dict[str, Any]]] = []
    ending_with = re.fullmatch(r"write (\.\w+) with (--.*)", write)
    if ending_with:
        found.append((ending_with[1], options(ending_with[2])))
    else:
        found += [(ending, {}) for ending in re.findall(r"\.\w+", write)]
    found += [(None, options(one)) for one in added.removeprefix("add ").split(" or ") if one]
    assert found, message
    return found


def options(text: str) -> dict[str, Any]:
    found = re.findall(r"--(\w+) (\S+)", text)
    given = dict(found)
    assert len(given) == len(found), text
    return {name: value.split(",") if name == "drop" else value for name, value in given.items()}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Inputs that hold something which many containers do not."""
    folder = tmp_path_factory.mktemp("files")
    few: dict[str, Any] = {"pts": range(5)}
    sound = [Audio(seconds=0.3)]
    font = ("a.ttf", "application/x-truetype-font", b"font")
    return {
        "subtitles and fonts": make_video(
            folder / "rich.mkv",
            audio=sound,
            subtitles=[Subtitle()],
            attachments=[font],
            chapters=[Chapter(0, 0.1, "one")],
            **few,
        ),
        "timed text": make_video(folder / "text.mp4", subtitles=[Subtitle("mov_text")], **few),
        "two sounds": make_video(
            folder / "two.mkv", audio=[*sound, Audio("pcm_s16le", seconds=0.3)], **few
        ),
        "8 bits": make_video(folder / "u8.avi", codec="mpeg4", audio=[Audio("pcm_u8")], **few),
        "adpcm": make_video(folder / "adpcm.avi", codec="mpeg4", audio=[Audio("adpcm_ms")], **few),
        "turned": make_video(folder / "turned.mp4", rotation=(90, False), audio=sound, **few),
        "gray": make_video(folder / "gray.mkv", codec="ffv1", pix_fmt="gray16le", **few),
        "ten bits": make_video(
            folder / "ten.mkv", codec="ffv1", pix_fmt="yuv420p10le", audio=sound, **few
        ),
        "fields": make_video(
            folder / "fields.mkv", codec="mpeg2video", size=(64, 54), interlaced=True, **few
        ),
        "cover": make_video(folder / "cover.mp4", cover=True, audio=sound, **few),
    }


ENDINGS = (".mp4", ".mov", ".mkv", ".webm", ".ts", ".avi", ".flv", ".3gp", ".nut")
KINDS = "subtitles and fonts,timed text,two sounds,8 bits,adpcm,turned,gray,ten bits,fields,cover"


@pytest.mark.parametrize("kind", KINDS.split(","))
def test_every_way_that_a_refusal_names_works(
    files: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    taken = 0
    for number, ending in enumerate(ENDINGS):
        out = tmp_path / f"{number}{ending}"
        try:
            plan_job(files[kind], out)
            continue
        except VideoWriteError as error:
            message = str(error)
        for other, added in ways(message):
            assert plan_job(files[kind], out.with_suffix(other or ending), **added), message
            taken += 1
    assert taken


def test_one_command_drops_all_that_is_in_the_way(files: dict[str, Path], tmp_path: Path) -> None:
    message = refused(files["subtitles and fonts"], tmp_path / "out.avi")
    assert "--drop subtitles,attachments,chapters" in message
    assert "write .mkv" in message


def test_the_case_of_an_unknown_sound_track(shared: Path, tmp_path: Path) -> None:
    for source in (
        shared / "cases" / "sound_that_no_container_holds" / "iphone_apac.mov",
        shared / "media" / "sample_missing_stsd.mp4",
    ):
        [(ending, added)] = ways(refused(source, tmp_path / "out.mov"))
        assert ending is None
        assert "left out, as asked" in rewrite(source, tmp_path / f"{source.stem}.mov", **added)[0]


def test_a_track_without_samples_is_no_damage(shared: Path, tmp_path: Path) -> None:
    assert rewrite(shared / "media" / "sample_empty_track.mp4", tmp_path / "out.mp4") == ()


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv"])
def test_data_that_a_container_cannot_hold_is_left_out_with_a_note(
    shared: Path, tmp_path: Path, ending: str
) -> None:
    source = shared / "cases" / "data_track_advice_makes_bad_file" / "data_mebx.mp4"
    notes = rewrite(source, tmp_path / f"out{ending}")
    assert len(notes) == 1
    assert "data stream 2" in notes[0]
    with av.open(str(tmp_path / f"out{ending}")) as written:
        assert [stream.type for stream in written.streams] == ["video", "audio"]


def test_cue_data_goes_into_a_transport_stream(shared: Path, tmp_path: Path) -> None:
    assert rewrite(shared / "media" / "sample_scte35.ts", tmp_path / "out.ts") == ()


@pytest.mark.parametrize(
    ("drop", "left"), [("1", ["video", "audio"]), ("1,2", ["video"]), ("2", ["video", "audio"])]
)
def test_streams_are_left_out_by_number(
    files: dict[str, Path], tmp_path: Path, drop: str, left: list[str]
) -> None:
    rewrite(files["two sounds"], tmp_path / "out.mkv", drop=drop.split(","))
    with av.open(str(tmp_path / "out.mkv")) as written:
        assert [stream.type for stream in written.streams] == left


@pytest.mark.parametrize(
    ("drop", "told"), [("0", "is the picture"), ("9", "numbered 0 to 2"), ("sound", "expected")]
)
def test_wrong_numbers_and_kinds_are_told(
    files: dict[str, Path], tmp_path: Path, drop: str, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        plan_job(files["two sounds"], tmp_path / "out.mkv", drop=[drop])


def samples_of(path: Path, index: int) -> list[bytes]:
    """Of the stream's decoded sound, as 32-bit samples, in order."""
    resampler = av.AudioResampler(format="s32")
    with av.open(str(path)) as file:
        frames = list(file.decode(file.streams[index]))
        assert frames[0].pts is not None
        given = [part for frame in frames for part in resampler.resample(frame)]
        return [b"".join(bytes(one.planes[0])[: one.samples * 4 * 2] for one in given)]


@pytest.mark.parametrize(
    ("ending", "audio", "codec"),
    [(".mp4", "flac", "flac"), (".mkv", "pcm", "pcm_s24le"), (".mov", "pcm", "pcm_s24le")],
)
def test_sound_is_converted_without_loss(
    shared: Path, tmp_path: Path, ending: str, audio: str, codec: str
) -> None:
    source = shared / "cases" / "sound_that_no_container_holds" / "lpcm.m2ts"
    out = tmp_path / f"out{ending}"
    assert f"is converted to {codec}, losing nothing" in rewrite(source, out, audio=audio)[0]
    assert samples_of(out, 1) == samples_of(source, 1)
    first, picture = packets_of(out, 1)[0][0], packets_of(out, 0)[0][0]
    was, was_picture = packets_of(source, 1)[0][0], packets_of(source, 0)[0][0]
    assert abs((first - picture) - (was - was_picture)) < Fraction(1, 500)


def test_sound_that_fits_is_copied_whatever_is_asked(
    files: dict[str, Path], tmp_path: Path
) -> None:
    rewrite(files["turned"], tmp_path / "out.mp4", audio="flac")
    assert packets_of(tmp_path / "out.mp4", 1) == packets_of(files["turned"], 1)


@pytest.mark.parametrize("ending", [".m2ts", ".mts"])
def test_lpcm_of_camcorders_stays_in_their_files(shared: Path, tmp_path: Path, ending: str) -> None:
    source, out = (
        shared / "cases" / "sound_that_no_container_holds" / "lpcm.m2ts",
        tmp_path / f"out{ending}",
    )
    assert rewrite(source, out) == ()
    assert [data for _, data in packets_of(out, 1)] == [data for _, data in packets_of(source, 1)]
    assert ".m2ts" in refused(source, tmp_path / "out.ts")


def test_gaps_of_converted_sound_are_filled(shared: Path, tmp_path: Path) -> None:
    source = shared / "cases" / "sound_that_no_container_holds" / "lpcm.m2ts"
    gap = tmp_path / "gap.m2ts"
    with av.open(str(source)) as read, av.open(str(gap), "w") as out:
        streams = [out.add_stream_from_template(one, opaque=True) for one in read.streams]
        begin = read.start_time / av.time_base
        for packet in read.demux():
            at = -1 if packet.pts is None else float(packet.pts * packet.time_base) - begin
            if packet.size and not (packet.stream.type == "audio" and 0.3 < at < 0.4):
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    notes = rewrite(gap, tmp_path / "out.mp4", audio="flac", keep_damaged=True)
    assert any("of silence fill gaps of audio stream 1" in note for note in notes)
    assert len(samples_of(tmp_path / "out.mp4", 1)[0]) == len(samples_of(source, 1)[0])


def test_wma_goes_into_matroska_as_it_is(shared: Path, tmp_path: Path) -> None:
    source = shared / "cases" / "wmv_refused_in_mkv" / "clip.wmv"
    assert rewrite(source, tmp_path / "out.mkv") == ()
    with av.open(str(tmp_path / "out.mkv")) as written, av.open(str(source)) as read:
        found = [file.streams.audio[0].codec_context.name for file in (read, written)]
        assert found == ["wmav2", "wmav2"]
    before, after = packets_of(source, 1), packets_of(tmp_path / "out.mkv", 1)
    assert [data for _, data in before] == [data for _, data in after]
    assert samples_of(source, 1) == samples_of(tmp_path / "out.mkv", 1)


def test_fractions_that_flac_rounds_are_named(shared: Path, tmp_path: Path) -> None:
    source = next((shared / "cases" / "wmv_refused_in_mkv").glob("*.wmv"))
    notes = rewrite(source, tmp_path / "out.mp4", audio="flac")
    assert any("rounded to 24 bits" in note for note in notes)
