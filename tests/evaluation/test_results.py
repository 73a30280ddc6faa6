"""Means, thirds and gains, against arithmetic."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vidrestore.errors import UsageError
from vidrestore.evaluation.measures import PICTURE_MEASURES, select_measures
from vidrestore.evaluation.results import Comparison, Row, summarise, table_lines, write_results

HEADER = {"protocol": {"name": "blind", "description": "…"}, "seed": 0, "weights": []}


def comparison(identity: bool = True) -> Comparison:
    """Seven pictures in no order; the model adds 1 dB to hard ones and takes 0.5 from easy ones."""
    rng = np.random.default_rng(0)
    rows = []
    for index, quality in enumerate(rng.permutation(7) / 10):
        before = {"psnr_db": 20 + 10 * quality, "identity": quality if identity else None}
        after = {
            "psnr_db": before["psnr_db"] + (1.0 if quality < 0.35 else -0.5),
            "identity": None if index == 2 or not identity else quality + 0.05,
        }
        rows += [Row(f"{index}.png", "input", before), Row(f"{index}.png", "net", after)]
    names = ("psnr_db", "identity") if identity else ("psnr_db",)
    return Comparison(
        kind="pictures",
        header=HEADER,
        measures={name: PICTURE_MEASURES[name] for name in names},
        not_available={"lpips": "not available: alexnet.pth, https://somewhere"},
        models=("net",),
        rows=tuple(rows),
        sets={"input": {"fid": 30.0}, "net": {"fid": 20.0}},
    )


def test_means_and_gains() -> None:
    summary = summarise(comparison())
    assert summary["items"] == {"all": 7, "hardest": 3, "middle": 2, "easiest": 2}
    assert summary["thirds_by"] == "identity"
    net = summary["models"]["net"]
    assert summary["models"]["input"]["all"]["mean"]["psnr_db"] == pytest.approx(23)
    assert net["all"]["gain"]["psnr_db"] == pytest.approx((4 * 1 - 3 * 0.5) / 7, abs=1e-6)
    gains = [1] * 4 + [-0.5] * 3
    error = np.std(gains, ddof=1) / 7**0.5
    assert net["all"]["gain_error"]["psnr_db"] == pytest.approx(error, abs=1e-6)
    assert net["hardest"]["gain"]["psnr_db"] == pytest.approx(1)
    assert net["easiest"]["gain"]["psnr_db"] == pytest.approx(-0.5)
    assert net["hardest"]["mean"]["psnr_db"] == pytest.approx(20 + 1 + 1)


def test_items_without_an_answer_do_not_count() -> None:
    gain = summarise(comparison())["models"]["net"]["all"]["gain"]["identity"]
    assert gain == pytest.approx(0.05)


def test_without_identity_psnr_tells_the_hard_ones() -> None:
    summary = summarise(comparison(identity=False))
    assert summary["thirds_by"] == "psnr_db"
    assert summary["models"]["net"]["hardest"]["gain"]["psnr_db"] == pytest.approx(1)


def test_thirds_of_a_source_are_parts_of_the_thirds_of_all() -> None:
    whole = comparison()
    order = np.argsort(whole.column("input", "identity"))  # 3 hardest, 2, 2 easiest
    hard, other = order[:2], order[2:]
    sources = {f"{i}.png": "a" for i in hard} | {f"{i}.png": "b" for i in other}
    found = replace(whole, sources=sources)
    summary = summarise(found)
    parts = {name: n for name, n in summary["items"].items() if ", " in name}
    assert parts == {
        "source a, hardest": 2,
        "source b, hardest": 1,
        "source b, middle": 2,
        "source b, easiest": 2,
    }
    net = summary["models"]["net"]
    expected = whole.column("net", "psnr_db")[hard].mean()
    assert net["source a, hardest"]["mean"]["psnr_db"] == pytest.approx(expected, abs=1e-6)
    assert net["source b, hardest"]["gain_error"]["psnr_db"] is None
    assert not any("source a, hardest" in line for line in table_lines(found, summary))


def test_the_table_has_every_measure_and_what_is_missing() -> None:
    found = comparison()
    text = "\n".join(table_lines(found, summarise(found)))
    assert "23.00" in text
    assert "(+0.36)" in text
    assert text.count("hardest third") == 2
    assert "lpips: not available: alexnet.pth, https://somewhere" in text


def test_files_are_json(tmp_path: Path) -> None:
    write_results(tmp_path, [comparison()])
    lines = [json.loads(x) for x in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["header"] + ["picture"] * 14 + ["set"] * 2
    assert lines[0]["protocol"]["name"] == "blind"
    assert lines[1].keys() == {"kind", "item", "model", "psnr_db", "identity"}
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["models"]["net"]["hardest"]["mean"]


def test_metrics_are_chosen_by_name() -> None:
    assert select_measures(["ssim", "psnr_db"], PICTURE_MEASURES) == ("psnr_db", "ssim")
    assert select_measures(None, PICTURE_MEASURES) == tuple(PICTURE_MEASURES)
    with pytest.raises(UsageError, match="no 'sim'; did you mean 'ssim'"):
        select_measures(["sim"], PICTURE_MEASURES)
