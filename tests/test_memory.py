"""What the process holds, and keeps."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vidrestore.memory import peak_memory_mib

FAULTS = """
import resource, sys
from vidrestore.memory import keep_freed_memory

if sys.argv[1] == "keep" and not keep_freed_memory():
    sys.exit("not glibc")

def use():
    bytearray(b"x") * (48 << 20)

use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(mode: str) -> int:
    command = [sys.executable, "-c", FAULTS, mode]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "not glibc" in done.stderr:
        pytest.skip("the C library is not glibc")
    return int(done.stdout)


def test_freed_memory_is_used_again():
    assert 4 * page_faults("keep") < page_faults("default")


def test_peak_grows_with_what_is_held():
    before = peak_memory_mib()
    block = bytearray(b"x") * (int(before + 64) << 20)
    assert peak_memory_mib() > before + 32
    del block
