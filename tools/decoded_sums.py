"""Sum the decoded output of a dozen varied runs, to see that a change of structure changes none.

    python tools/decoded_sums.py CLIPS > before.txt
    ... change, commit ...
    python tools/decoded_sums.py CLIPS | diff before.txt -

CLIPS is a folder with the videos named below. Sums hold for one machine and one set of packages.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path

import av
import numpy as np
import torch
from safetensors.torch import save_file

import vidrestore
from vidrestore.cli import main
from vidrestore.demo.clip import portrait
from vidrestore.models import build

RUNS: dict[str, tuple[str, str, list[str]]] = {
    "fractional rate": ("talk_1.mp4", ".mp4", ["--end", "0.8"]),
    "shot cut, many faces": ("crowd_cuts.mp4", ".mkv", ["--start", "3.1", "--end", "3.7"]),
    "720p": ("hd720.mp4", ".mp4", ["--end", "0.3"]),
    "film with sound": ("film_bw_sound.mp4", ".mkv", ["--end", "0.6"]),
    "rotated phone": ("phone_portrait.mp4", ".mp4", ["--end", "0.4"]),
    "every frame by itself": ("old_tv_two_faces.mp4", ".mp4", ["--end", "0.5", "--per-frame"]),
    "half strength, largest face": (
        "degraded_128px.mp4",
        ".mp4",
        ["--end", "0.8", "--strength", "0.5", "--faces", "largest"],
    ),
    "lossless": ("talk_3.mp4", ".mkv", ["--end", "0.5", "--codec", "ffv1"]),
    "small faces": ("film_silent_mp3.mp4", ".mp4", ["--end", "0.5"]),
    "a network with styles and noise": ("talk_2.mp4", ".mp4", ["--end", "0.6", "--model", "TINY"]),
    "tracks from a file": ("old_tv_1.mp4", ".mp4", ["--end", "0.5", "--tracks", "TRACKS"]),
}
"""Name: video, ending of the output, options."""


def tiny_gfpgan(path: Path) -> Path:
    """A small GFP-GAN with drawn weights."""
    torch.manual_seed(0)
    settings = {"out_size": 64, "num_style_feat": 16, "channel_multiplier": 1, "narrow": 0.125}
    network = build("GFPGANv1Clean", **settings)
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    metadata = {"arch": "GFPGANv1Clean", "hyperparameters": json.dumps(settings), "size": "64"}
    save_file(state, path, metadata)
    return path


def decoded_sum(path: Path) -> str:
    """Of all pictures and their times."""
    digest = hashlib.sha256()
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            digest.update(f"{frame.pts} {frame.format.name}".encode())
            for plane in frame.planes:
                digest.update(bytes(plane))
    return digest.hexdigest()


def run(source: Path, output: Path, options: list[str], folder: Path) -> str:
    """Restore and sum."""
    if "TRACKS" in options:
        tracks = folder / "tracks.json"
        assert main(["inspect", str(source), "--out", str(tracks), *options[:2]]) == 0
        options = [str(tracks) if word == "TRACKS" else word for word in options]
    if "TINY" in options:
        weights = tiny_gfpgan(folder / "tiny.safetensors")
        options = [str(weights) if word == "TINY" else word for word in options]
    code = main([str(source), str(output), *options])
    if code:
        raise SystemExit(f"{source}: exit code {code}")
    return decoded_sum(output)


if __name__ == "__main__":
    clips = Path(sys.argv[1])
    for name, (video, ending, options) in RUNS.items():
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            print(
                f"{run(clips / video, place / f'out{ending}', options, place)}  {name}", flush=True
            )
    image = vidrestore.restore_image(np.ascontiguousarray(portrait()[:300, 60:400]))
    print(f"{hashlib.sha256(image.tobytes()).hexdigest()}  a picture")
