"""What ARCHITECTURE, GLOSSARY, CHANGELOG and the table of test support name is there."""

from __future__ import annotations

import ast
import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

import vidrestore
from vidrestore.config import dotted_fields
from vidrestore.metrics.detections import Agreement
from vidrestore.structs import FaceRecord, RestoreReport
from vidrestore.track_file import TrackRecord, TracksRecord
from vidrestore.training.config_files import TRAINING_CONFIGS

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "GLOSSARY.md")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table behind a heading or sentence, without its head."""
    table = re.search(r"(?:^\|.*\n)+", text[text.index(heading) :], re.MULTILINE)
    assert table, heading
    lines = table[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.mark.parametrize("name", [*DOCUMENTS, "tests/support/README.md"])
def test_paths_and_links_lead_somewhere(name: str) -> None:
    text = re.sub(r"^```.*?^```$", "", text_of(name), flags=re.MULTILINE | re.DOTALL)
    paths = re.findall(r"`((?:vidrestore|tests|tools|examples|configs|docs)/[\w/.-]*)`", text)
    links = re.findall(r"\]\((?!http)([\w/.-]+)\)", text)
    for path in [*paths, *links]:
        assert (ROOT / path).exists(), path


def test_the_rows_of_imports_are_those_that_are_checked() -> None:
    source = text_of("tests/test_layers.py")
    checked = re.search(r"^LAYERS = (\[.*?^\])$", source, re.MULTILINE | re.DOTALL)
    assert checked
    told = [set(quoted(parts)) for _, parts in rows(text_of("ARCHITECTURE.md"), "## Imports")]
    assert told == ast.literal_eval(checked[1])


def test_the_chain_is_told_in_its_order() -> None:
    table = rows(text_of("ARCHITECTURE.md"), "## The chain")
    told = [quoted(row[0])[0] for row in table if quoted(row[0])]
    pipeline = (ROOT / "vidrestore" / "pipeline.py").read_text(encoding="utf-8")
    chain = re.match(r'"""The chain on one screen: decode → (.*?)\.\n', pipeline, re.DOTALL)
    assert chain and told == chain[1].split()[::2]


def test_words_are_in_order_and_told_once() -> None:
    words = [row[0].strip("*").lower() for row in rows(text_of("GLOSSARY.md"), "# Glossary")]
    assert words == sorted(words) and len(words) == len(set(words)) > 30


def test_options_are_renamed_as_the_changelog_says() -> None:
    known = dotted_fields()
    for old, new in rows(text_of("CHANGELOG.md"), "Options, on the command line"):
        assert quoted(new)[0] in known and quoted(old)[0] not in known, new


def test_json_is_renamed_as_the_changelog_says() -> None:
    known = {
        "report": {*RestoreReport.__dataclass_fields__, *FaceRecord.__dataclass_fields__},
        "tracks": {*TracksRecord.model_fields, *TrackRecord.model_fields},
        "evaluate detector": set(Agreement.__dataclass_fields__),
    }
    for file, old, new in rows(text_of("CHANGELOG.md"), "Keys of JSON files"):
        assert quoted(new)[0] in known[file] and quoted(old)[0] not in known[file], new


def test_fields_are_renamed_as_the_changelog_says() -> None:
    for where, old, new in rows(text_of("CHANGELOG.md"), "Fields in Python"):
        for name in quoted(where):
            known = vars(getattr(vidrestore, name))["__annotations__"]
            assert quoted(new)[0] in known and quoted(old)[0] not in known, (name, new)


def test_training_is_configured_as_the_changelog_says() -> None:
    for task, old, new in rows(text_of("CHANGELOG.md"), "In configurations of training"):
        config = TRAINING_CONFIGS[quoted(task)[0]]
        schema = json.dumps(config.model_json_schema())
        for cell, there in ((old, False), (new, True)):
            for name in quoted(cell.partition(":")[0]):
                assert (f'"{name.rpartition(".")[2]}":' in schema) == there, name


def test_modules_are_where_the_changelog_says() -> None:
    for old, new in rows(text_of("CHANGELOG.md"), "Modules of"):
        for name in quoted(new):
            assert find_spec(f"vidrestore.{name}"), name
        for name in quoted(old):
            path = ROOT / "vidrestore" / name.replace(".", "/")
            assert not path.with_suffix(".py").exists(), name


def test_the_table_of_test_support_is_whole() -> None:
    folder = ROOT / "tests" / "support"
    cells = [row[1] for row in rows(text_of("tests/support/README.md"), "| to test")]
    told = {module for cell in cells for module in re.findall(r"^`(\w+)`:", cell)}
    assert told == {path.stem for path in folder.glob("*.py")}
    for cell in cells:
        for module, names in re.findall(r"^`(\w+)`: (.*)$", cell):
            source = (folder / f"{module}.py").read_text(encoding="utf-8")
            for name in quoted(names):
                assert re.search(rf"^(?:def |class |){name}\b", source, re.MULTILINE), name
