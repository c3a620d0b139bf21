# SPDX-License-Identifier: Apache-2.0
"""What the process does with its memory. In a process of its own: it is set for good."""

import subprocess
import sys

import pytest

from trustedpods.provider.daemon.process import LARGE_BUFFER

PROGRAM = f"""
import ctypes, sys
from trustedpods.provider.daemon.process import give_back_large_buffers

class Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd u f uo fo k".split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Mallinfo2
if sys.argv[1] == "given back":
    give_back_large_buffers()
largest = bytearray({8 * LARGE_BUFFER})
del largest
before = libc.mallinfo2().hblks
kept = bytearray({LARGE_BUFFER})
print(libc.mallinfo2().hblks - before)
"""


@pytest.mark.parametrize(("how", "mapped"), [("given back", "1"), ("as it comes", "0")])
def test_a_large_buffer_is_a_mapping_of_its_own_also_after_a_larger_one(how, mapped):
    """The second row is glibc's own way: it shows that the first one is ours."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == mapped
