# SPDX-License-Identifier: Apache-2.0
"""The one page in HTTP/2, and when a client of HTTP/2 has asked for something."""

import pytest

from trustedpods.provider.facade import pages
from trustedpods.provider.facade.activator.h2_page import PREFACE, greeting, h2_response, has_request


def test_the_page_in_http2_is_four_small_frames():
    page = pages.cannot_wake(60)
    data = greeting() + h2_response(page)
    kinds = []
    while data:
        size = int.from_bytes(data[:3], "big")
        kinds.append((data[3], data[4], int.from_bytes(data[5:9], "big")))
        payload, data = data[9 : 9 + size], data[9 + size :]
    assert kinds == [(4, 0, 0), (4, 1, 0), (1, 4, 1), (0, 1, 1)]
    assert payload == page.body


@pytest.mark.parametrize(
    ("data", "enough"),
    [
        (b"", False),
        (PREFACE[:10], False),
        (PREFACE + b"\0\0\0\4\0\0\0\0\0", False),
        (PREFACE + b"\0\0\0\4\0\0\0\0\0" + b"\0\0\1\1\5\0\0\0\1x", True),
        (b"GET / HTTP/1.1\r\n\r\n" + b" " * 20, True),
        (PREFACE + b"\xff\xff\xff\0" + b"\0" * 70_000, True),
    ],
)
def test_a_request_is_seen_when_its_headers_begin(data, enough):
    assert has_request(data) is enough
