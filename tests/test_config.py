"""Options have one name everywhere, and mistakes name the nearest valid one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from vidrestore.config import RestoreConfig, dotted_fields, resolve_config
from vidrestore.errors import UsageError

PRESETS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_every_preset_loads_and_changes_something(preset: Path) -> None:
    assert resolve_config(preset) != RestoreConfig()


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_preset_is_found_by_its_name_in_any_folder(empty_folder: Path) -> None:
    for preset in PRESETS:
        assert resolve_config(preset.stem) == resolve_config(preset)


@pytest.mark.parametrize("file", ["old_film", "old_film.yaml", "old_film.yml"])
def test_a_file_beside_that_has_a_presets_name_is_an_error(empty_folder: Path, file: str) -> None:
    (empty_folder / file).write_text("blend: {strength: 0.25}")
    said = f"has a file {file}; write ./{file} to read that file (rename it"
    with pytest.raises(UsageError, match=re.escape(said)):
        resolve_config("old_film")
    assert resolve_config(f"./{file}").blend.strength == 0.25
    assert resolve_config(Path(file)).blend.strength == 0.25


def test_a_folder_of_a_presets_name_hides_nothing(empty_folder: Path) -> None:
    (empty_folder / "old_film").mkdir()
    assert resolve_config("old_film") != RestoreConfig()


def test_an_unknown_preset_names_the_nearest_and_a_file_its_path(empty_folder: Path) -> None:
    with pytest.raises(UsageError, match="unknown preset 'old_flim'; did you mean 'old_film'"):
        resolve_config("old_flim")
    (empty_folder / "mine").write_text("blend: {strength: 0.25}")
    with pytest.raises(UsageError, match=r"write ./mine to read that file \(no preset has this"):
        resolve_config("mine")


@pytest.mark.parametrize("path", ["C:mine", "C:\\x\\mine", "x\\mine", "x/mine", "mine.yaml"])
def test_drives_and_both_slashes_make_a_path(empty_folder: Path, path: str) -> None:
    with pytest.raises(UsageError, match="no such file; check the path"):
        resolve_config(path)


def test_options_from_a_dictionary() -> None:
    config = resolve_config({"blend": {"strength": 0.5}, "detect": {"every_frames": 3}})
    assert (config.blend.strength, config.detect.every_frames) == (0.5, 3)
    later = resolve_config(["gentle", {"blend": {"strength": 0.75}}])
    assert later.blend.strength == 0.75
    for wrong, said in (
        ({"blnd": {}}, "configuration: unknown stage 'blnd'; did you mean 'blend'"),
        ({"blend": 3}, "configuration: blend needs options, got 3"),
        ({"blend": {"strenth": 1}}, "did you mean 'blend.strength'"),
    ):
        with pytest.raises(UsageError, match=said):
            resolve_config(wrong)


def test_there_are_presets() -> None:
    assert PRESETS


def test_overrides_win_over_a_preset_and_a_preset_over_defaults(tmp_path: Path) -> None:
    preset = tmp_path / "preset.yaml"
    preset.write_text("blend: {strength: 0.5}\ndetect: {every_frames: 3}\n")
    config = resolve_config(preset, {"blend.strength": 0.25})
    assert (config.blend.strength, config.detect.every_frames) == (0.25, 3)
    assert config.track == RestoreConfig().track


def test_per_frame_is_a_preset_that_what_is_said_overrides() -> None:
    config = resolve_config(None, {"detect.every_frames": 2}, per_frame=True)
    assert config.detect.every_frames == 2
    assert config.temporal_filter.strength == config.align.window_s == 0
    assert config.restore.noise == "fresh"


def test_a_ready_configuration_is_kept_where_nothing_is_said() -> None:
    ready = resolve_config(None, {"detect.size_px": 320})
    assert resolve_config(ready, {"blend.strength": 0}).detect.size_px == 320


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"blend.strenght": 1}, "did you mean 'blend.strength'"),
        ({"blend.strength": 2}, "blend.strength: .* got 2"),
        ({"detect.every_frames": 0}, "detect.every_frames"),
        ({"restore.precision": "half"}, "restore.precision"),
        ({"decode.start": 5, "decode.end": 4}, "decode.end: must be after"),
    ],
)
def test_mistakes_are_usage_errors(overrides: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        resolve_config(None, overrides)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("blnd: {strength: 1}", "unknown stage 'blnd'; did you mean 'blend'"),
        ("blend: {strenth: 1}", "unknown option 'blend.strenth'; did you mean 'blend.strength'"),
        ("blend: 3", "blend needs options"),
        ("[1, 2]", "expected stages"),
        ("{", "not valid YAML"),
    ],
)
def test_mistakes_in_a_preset_name_the_file(tmp_path: Path, text: str, said: str) -> None:
    preset = tmp_path / "mine.yaml"
    preset.write_text(text)
    with pytest.raises(UsageError, match=said):
        resolve_config(preset)


def test_a_missing_preset_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="check the path"):
        resolve_config(tmp_path / "none.yaml")


def test_the_resolved_configuration_survives_yaml() -> None:
    config = resolve_config(None, {"decode.start": 1.5, "encode.drop": ["subtitles"]})
    written = yaml.safe_dump(config.model_dump(mode="json"))
    assert RestoreConfig.model_validate(yaml.safe_load(written)) == config


def test_every_field_is_described() -> None:
    for model, name in dotted_fields().values():
        assert model.model_fields[name].description, f"{model.__name__}.{name}"
