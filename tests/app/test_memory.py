"""Tests of app.memory: large pieces of memory that are used again and again cause no page faults."""

import platform
import subprocess
import sys

import pytest

from wsdgateway.app.memory import keep_freed_memory

PIECES = 400
PROGRAM = f"""
import resource
from wsdgateway.app.memory import keep_freed_memory

assert keep_freed_memory()
kept = []
for size in (524288, 400000, 65536):  # pieces of other sizes between them, as in a running gateway
    kept.append(b"x" * size)
b"x" * 524288
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for number in range({PIECES}):
    piece = b"x" * 524288
    kept.append(b"y" * 100)
    del piece
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the allocator of glibc has these settings")


@glibc
def test_large_pieces_use_the_same_memory_again():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert int(done.stdout) < PIECES  # with the defaults it may be 128 for each piece


def test_without_such_an_allocator_nothing_happens(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert keep_freed_memory() is False
