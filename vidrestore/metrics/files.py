"""The files of the networks that metrics need, and the one line said where one is missing.

Nothing is downloaded here: a file counts when it lies in the folder of weights
(`vidrestore models path`), be it put there by hand or by `vidrestore models pull`. Torchvision's
and pytorch-fid's files bear the first eight digits of their sha256 in their names, which are
compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vidrestore.errors import NotAvailableError
from vidrestore.models import zoo
from vidrestore.models.weights import store as weights

__all__ = ["ALEXNET", "INCEPTION", "NIQE", "VGG16", "NetworkFile", "find_file", "installed_weights"]

_TORCHVISION = "https://download.pytorch.org/models"


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """A public file that a metric needs."""

    filename: str
    url: str
    sha256_start: str = ""
    """First digits of its checksum; empty where none is published."""


ALEXNET = NetworkFile(
    "alexnet-owt-7be5be79.pth", f"{_TORCHVISION}/alexnet-owt-7be5be79.pth", "7be5be79"
)
VGG16 = NetworkFile("vgg16-397923af.pth", f"{_TORCHVISION}/vgg16-397923af.pth", "397923af")
INCEPTION = NetworkFile(
    "pt_inception-2015-12-05-6726825d.pth",
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
    "pt_inception-2015-12-05-6726825d.pth",
    "6726825d",
)
NIQE = NetworkFile(
    "niqe_modelparameters.mat",
    "https://huggingface.co/chaofengc/IQA-PyTorch-Weights/resolve/main/niqe_modelparameters.mat",
)


def find_file(file: NetworkFile) -> Path:
    """Path of a file in the folder of weights.

    Raises:
        NotAvailableError: it is not there, or is another file of that name.
    """
    path = weights.folder() / file.filename
    if not path.is_file():
        raise NotAvailableError(f"not available: {file.filename}, {file.url} (put it at {path})")
    found = weights.sha256_of(path) if file.sha256_start else ""
    if not found.startswith(file.sha256_start):
        raise NotAvailableError(
            f"not available: {path} is another file (sha256 starts {found[:8]}, expected "
            f"{file.sha256_start}); get it again from {file.url}"
        )
    return path


def installed_weights(name: str) -> Path:
    """Path of an installed face embedding, by its name in the zoo such as "mobilefacenet".

    Raises:
        NotAvailableError: it is not installed.
    """
    (spec,) = zoo.find(name, "identity")
    if not weights.is_installed(spec):
        raise NotAvailableError(
            f"not available: {spec.filename}, {spec.url} "
            f"(`vidrestore models pull {spec.name}`, or put it at {weights.path_of(spec)})"
        )
    return weights.ready(spec)
