"""YAML is bounded before anything is built from it, wherever it is read."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from vidrestore.config import RestoreConfig, resolve_config
from vidrestore.degradations.recipe_files import load_recipe
from vidrestore.errors import DataError, UsageError
from vidrestore.settings import parse_yaml, read_yaml, shown
from vidrestore.training.config_files import read_training_config

LAUGHS = "- &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"- &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)
HOSTILE = {
    "aliases that multiply": (LAUGHS, "anchors and aliases"),
    "aliases in an option": ("blend:\n" + LAUGHS.replace("- &", "  - &"), "anchors and aliases"),
    "a lone alias": ("blend: *a", "not valid YAML|anchors"),
    "deep lists": ("[" * 40_000, "deeper than 20|nesting depth"),
    "deep tables": ("".join(f"{' ' * n}a:\n" for n in range(25)), "deeper than 20"),
    "a long number": ("run: {threads: " + "9" * 5000 + "}", "number of 5000 digits"),
    "a long sexagesimal number": ("run: {threads: " + ":".join("1" * 5000) + "}", "number of"),
    "a hexadecimal number": ("run: {threads: 0x" + "f" * 5000 + "}", "number of"),
    "a long fraction": ("blend: {strength: 0." + "1" * 5000 + "}", "number of"),
    "many entries": ("[" + "a," * 30_000 + "]", "more than 20000 entries"),
    "a tag": ("blend: !!python/object/apply:os.system [true]", "tags"),
    "a harmless tag": ("blend: !!set {a, b}", "tags"),
    "a key twice": ("blend: {strength: 1, strength: 0}", "'strength' is given twice"),
    "a key that is a list": ("? [a, b]\n: 1", "key"),
    "a control character": ("blend: \x1b[31m", "not valid YAML"),
    "too many bytes": ("#" * 1_000_001, "1000001 bytes"),
}


@pytest.mark.parametrize("read", ["configuration", "training configuration", "degradation recipe"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_yaml_is_refused_at_once(tmp_path: Path, kind: str, read: str) -> None:
    text, said = HOSTILE[kind]
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    use, error = {
        "configuration": (resolve_config, UsageError),
        "training configuration": (read_training_config, DataError),
        "degradation recipe": (load_recipe, UsageError),
    }[read]
    begun = time.perf_counter()
    with pytest.raises(error, match=said) as caught:
        use(path)
    assert time.perf_counter() - begun < 2
    assert len(str(caught.value)) < 500 and "mine.yaml" in str(caught.value)


def test_dates_and_merge_keys_are_plain_text() -> None:
    assert parse_yaml("a: 2001-13-45\n<<: {b: 1}", "it") == {"a": "2001-13-45", "<<": {"b": 1}}


def test_ordinary_yaml_is_read_as_before() -> None:
    text = "a: [1, 0x10, -2.5, 1.5e+3, true, null, 'x', ~]\nb: {c: d}"
    assert parse_yaml(text, "it") == {
        "a": [1, 16, -2.5, 1500.0, True, None, "x", None],
        "b": {"c": "d"},
    }


@pytest.mark.parametrize(
    "text",
    [
        "decode: {start: .inf}",
        "decode: {start: 1e308}",
        "decode: {end: .nan}",
        "detect: {min_face_px: .inf}",
        "detect: {every_frames: 99999999999999999999}",
        "run: {threads: 1000000}",
        "track: {max_flow_error: 1e308}",
        "blend: {strength: [[[[1]]]]}",
    ],
)
def test_numbers_without_sense_are_usage_errors(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"^\w+\.\w+: .* got "):
        resolve_config(tmp_path / "mine.yaml")


def test_later_presets_win_option_by_option(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("blend: {strength: 0.5, feather: 0.2}")
    (tmp_path / "b.yaml").write_text("blend: {strength: 0.25}\nrun: {threads: 2}")
    both = [tmp_path / "a.yaml", tmp_path / "b.yaml"]
    config = resolve_config(both)
    assert (config.blend.strength, config.blend.feather, config.run.threads) == (0.25, 0.2, 2)
    assert resolve_config(both[::-1]).blend.strength == 0.5
    assert resolve_config(both, {"blend.strength": 1}).blend.strength == 1
    assert resolve_config([]) == RestoreConfig()


def test_a_long_value_is_shortened_in_messages() -> None:
    assert len(shown("x" * 10_000)) < 100 and len(shown([["y" * 100] * 50] * 50)) < 5000


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(b"a: \xff")
    with pytest.raises(UsageError, match="UTF-8"):
        read_yaml(tmp_path / "mine.yaml", "settings")
