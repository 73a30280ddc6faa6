"""The model card says what the labels say, and is where people look for it."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

from vidrestore.cli import main
from vidrestore.models.weights import store as weights

LICENSED = ("portrait-cc0", "avatar-mit")


def rows_of(card: str, source: str) -> list[list[str]]:
    lines = re.findall(rf"^\| `{source}` \|(.*)\|$", card, re.MULTILINE)
    return [[cell.strip() for cell in line.split("|")] for line in lines]


def test_the_figures_are_told_for_every_source(shared: Path) -> None:
    with (shared / "faces" / "labels.csv").open(encoding="utf-8") as file:
        counts = Counter(
            row["source"]
            for row in csv.DictReader(file)
            if row["split"] == "val" and row["file"].startswith("512/")
        )
    card = weights.model_card().read_text(encoding="utf-8")
    for source, count in counts.items():
        figures = [row for row in rows_of(card, source) if "→" in row[1]]
        assert [row[0] for row in figures] == [str(count)]
        assert all("→" in cell for cell in figures[0][1:])


def test_the_share_of_pictures_without_a_licence_is_told(shared: Path) -> None:
    with (shared / "faces" / "labels.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
    card = weights.model_card().read_text(encoding="utf-8")
    for used in ([row for row in rows if row["file"].startswith("512/")], rows):
        open_ones = sum(row["source"] not in LICENSED for row in used)
        share = round(100 * open_ones / len(used))
        assert re.search(rf"{open_ones:,} of the \w+'s\s{len(used):,}\s\({share} %\)", card)


def test_the_list_of_models_and_the_readme_say_so_too(capsys) -> None:
    assert main(["models", "list"]) == 0
    told = capsys.readouterr().out
    embedded = [line for line in told.splitlines() if line.startswith("embedded  ")]
    assert len(embedded) == 2
    assert all("most of its training pictures state no licence" in line for line in embedded)
    assert str(weights.model_card()) in told
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    licence = readme.partition("## Licence")[2]
    assert "state no licence" in " ".join(licence.split())
