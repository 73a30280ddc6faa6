"""Pages are whole in themselves, hold what strangers named only as text, and work in a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from vidrestore.datasets.images import encode_jpeg
from vidrestore.jobs.samples import Curve, FaceSamples, Sample
from vidrestore.records.page import render_batch, render_video

EVIL = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202ecod.\nb"


class Page(HTMLParser):
    """The elements of a page, and what they load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name == "src"]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def record(name: str = "/in/a.mkv") -> dict[str, Any]:
    stream = {"index": 0, "type": "video", "codec": name, "detail": "", "language": name}
    return {
        "status": "done",
        "problem": name,
        "begun": "2024-01-01T00:00:00+00:00",
        "program": {"vidrestore": "1", "host": name},
        "input": {"path": name, "bytes": 1000, "streams": [stream]},
        "output": {"path": name, "bytes": 1000, "width": 8, "height": 8, "pix_fmt": name},
        "model": {"name": name, "sha256": None},
        "detector": {"name": "embedded", "sha256": "0" * 64},
        "device": {"name": "cpu", "hardware": name, "precision": "float32", "segments": {}},
        "frames": {"decoded": 90, "repaired": 3, "written": 93},
        "people": [],
        "planned": {"streams": [{"index": 0, "action": "encode"}]},
        "options": {"restore": {"model": name}},
        "report": {
            "codec": "ffv1",
            "faces": 9,
            "cuts": [3],
            "seconds": 2.0,
            "repaired_s": [0.04, 0.08, 2.0],
            "notes": [name],
            "stage_seconds": {"detect": 1.5, "blend": 10.0, "encode": 2.0},
        },
        "fixity": {
            "input_sha256": "1" * 64,
            "output_sha256": "2" * 64,
            "framemd5": name,
            "frames_decoded_again": 93,
            "picture": {"statement": name, "rectangles": [[0, 3, [[1, 2, 3, 4]]]]},
        },
    }


def samples() -> FaceSamples:
    found = FaceSamples()
    pair = (encode_jpeg(np.full((64, 64, 3), value, np.uint8), 90) for value in (60, 200))
    found.best[0] = Sample(0, 1.0, 40.0, 64, 64, *pair)
    found.curves[0], found.length_s, found.cuts_s = Curve(), 4.0, [2.0]
    for number in range(1000):
        found.curves[0].add(number / 250, 40 + number / 100)
    return found


def rows() -> list[dict[str, Any]]:
    return [
        {"name": name, "page": None, "status": status, "frames": frames, "seconds": frames / 10}
        | {"time": "1 s", "bytes": "", "size": "", "attempts": 1, "about": EVIL}
        for name, status, frames in ((EVIL, "done", 900), ("b.mkv", "failed", 1000))
    ]


def test_names_of_strangers_are_text_and_nothing_is_loaded() -> None:
    for text, scripts in (
        (render_video(record(EVIL), samples()), 2),
        (render_batch(EVIL, [("done", 1)], rows(), "now"), 1),
    ):
        page = Page(text)
        assert page.tags.count("script") == scripts and not page.handlers
        assert all(source.startswith("data:image/jpeg;base64,") for source in page.sources)
        assert "alert(1)" in text and "\u202e" not in text
        assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", text)


def test_repairs_are_told_with_their_times_and_curves_stay_small() -> None:
    text = render_video(record(), samples())
    assert "0.040 to 0.080 s" in text and "2.000 s" in text
    assert len(samples().curves[0].points) <= 240
    shared = record()
    shared["device"]["segments"] = {"cpu (AVX2)": 1, "Abacus 9000": 6}
    told = "1 segment on cpu (AVX2), 6 segments on Abacus 9000, float32"
    assert told in render_video(shared, samples())
    shared["fixity"]["picture"]["rectangles"] *= 60
    assert "10 more rows, which are in the record" in render_video(shared, samples())
    failed = record() | {"status": "failed"}
    for name in ("output", "report", "fixity", "device", "frames", "people", "planned"):
        del failed[name]
    assert "failed" in render_video(failed, None)


CLICKS = """
<script>
addEventListener("load", () => {
  const slider = document.querySelector("img-comparison-slider");
  document.body.dataset.slider = slider ? String(slider.shadowRoot !== null) : "none";
  const table = document.querySelector("table.sortable");
  const names = () => [...table.tBodies[0].rows].map((row) => row.cells[0].textContent).join(" ");
  const button = table.tHead.rows[0].cells[COLUMN].querySelector("button");
  button.click(); document.body.dataset.rising = names();
  button.click(); document.body.dataset.falling = names();
});
</script></body>
"""


def in_browser(page: Path, picture: Path) -> str:
    """The document after its scripts have run; also takes a screenshot."""
    browser = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome")
         if (found := shutil.which(name))), None,
    )  # fmt: skip
    if browser is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += ["--window-size=1100,1400", f"--user-data-dir={page.parent / 'profile'}"]
    uri = page.resolve().as_uri()
    subprocess.run(
        [*command, f"--screenshot={picture}", uri], check=True, capture_output=True, timeout=120
    )
    done = subprocess.run(
        [*command, "--dump-dom", uri], check=True, capture_output=True, text=True, timeout=120
    )
    return done.stdout


@pytest.mark.soak
def test_pages_work_in_a_browser(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    text = render_video(record(), samples())
    page.write_text(text.replace("</body>", CLICKS.replace("COLUMN", "1")))
    seen = in_browser(page, tmp_path / "page.png")
    assert 'data-slider="true"' in seen
    assert 'data-rising="detect encode blend"' in seen
    assert 'data-falling="blend encode detect"' in seen
    shown = cv2.imread(str(tmp_path / "page.png"))
    assert shown is not None
    assert {60, 200} <= set(np.unique(shown[..., 0]))  # both halves of the slider
    page.write_text(render_video(record(EVIL), samples()))
    assert '<img src="x"' not in in_browser(page, tmp_path / "evil.png")
    page.write_text(
        render_batch("b", [("done", 1)], rows(), "now").replace(
            "</body>", CLICKS.replace("COLUMN", "2")
        )
    )
    seen = in_browser(page, tmp_path / "batch.png")
    assert re.search('data-falling="b.mkv ', seen) and not re.search('data-rising="b.mkv', seen)
