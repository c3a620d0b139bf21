# SPDX-License-Identifier: Apache-2.0
"""What the process does with its memory. In a process of its own: it is set for good."""

import pytest

from tests.protocol.imports.children import said_by
from trustedpods.provider.daemon.process import LARGE_BUFFER

PROGRAM = f"""
import ctypes
from trustedpods.provider.daemon.process import give_back_large_buffers

class Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd u f uo fo k".split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Mallinfo2
%s
largest = bytearray({8 * LARGE_BUFFER})
del largest
before = libc.mallinfo2().hblks
kept = bytearray({LARGE_BUFFER})
print(libc.mallinfo2().hblks - before)
"""


@pytest.mark.parametrize(("before", "mapped"), [("give_back_large_buffers()", "1"), ("", "0")])
def test_a_large_buffer_is_a_mapping_of_its_own_also_after_a_larger_one(before, mapped):
    """The second row is glibc's own way: it shows that the first one is ours."""
    assert said_by(PROGRAM % before) == [mapped]
