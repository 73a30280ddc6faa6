"""Say what to install where a compiled package lacks a library of the operating system.

OpenCV's wheel needs libraries that a desktop has and a bare server or container lacks.
"""

from __future__ import annotations

import re

__all__ = ["explain_import_error"]

_DEBIAN_PACKAGES = {
    "libGL.so.1": "libgl1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libSM.so.6": "libsm6",
    "libX11.so.6": "libx11-6",
    "libXext.so.6": "libxext6",
    "libXrender.so.1": "libxrender1",
    "libxcb.so.1": "libxcb1",
}
_OPENCV = "apt-get install libgl1 libglib2.0-0"
_MISSING = re.compile(r"(\S+\.so[.\d]*): cannot open shared object file")


def explain_import_error(error: BaseException | None) -> str | None:
    """Return what to install, in one line, where an import failed for a library of the system.

    Args:
        error: an error of an import, or one that such an error caused.

    Returns:
        None if it is no such error.
    """
    while error is not None:
        if isinstance(error, ImportError) and (told := _explain(str(error))):
            return told
        error = error.__cause__ or error.__context__
    return None


def _explain(message: str) -> str | None:
    if missing := _MISSING.search(message):
        library = missing[1]
        return f"{library}, a library of the operating system, is missing; {_what_to_do(library)}"
    if "DLL load failed" in message:
        return (
            f"{' '.join(message.split())}; install the Visual C++ Redistributable of Microsoft "
            "and, on an N edition of Windows, the Media Feature Pack"
        )
    return None


def _what_to_do(library: str) -> str:
    package = _DEBIAN_PACKAGES.get(library)
    if package is None:
        return f"install the package of your system that has {library}"
    also = "" if package in _OPENCV else f" {package}"
    return f"OpenCV needs it: {_OPENCV}{also} (Debian, Ubuntu), or its like on your system"
