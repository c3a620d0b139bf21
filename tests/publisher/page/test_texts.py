# SPDX-License-Identifier: Apache-2.0
"""What others wrote, cleaned and cut; hypothesis writes it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.publisher.page.texts import MAX_LOG_BYTES, log_text, web_address


@given(st.binary())
def test_a_log_is_printable_lines(data):
    assert log_text(data).replace("\n", "").isprintable() or log_text(data).strip("\n") == ""


def test_a_log_keeps_its_end():
    shown = log_text(b"first\n" + b"x" * MAX_LOG_BYTES + b"\r\nlast\x1b[31m\xff\n")
    assert "first" not in shown
    assert shown.endswith("x\nlast\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}")


@pytest.mark.parametrize(
    ("url", "goes"),
    [
        ("https://web.example/a?b=c#d", True),
        ("http://[::1]:8080/", True),
        ("http://[bad", False),
        ("http:///path", False),
        ("HTTP://web.example/", True),
        ("javascript:alert(1)", False),
        ("java\nscript:alert(1)", False),
        ("data:text/html,x", False),
        ("tcp://web.example:1", False),
        ("https://web.example/<b>", False),
        ("https://web.example/\u202e", False),
        ("https://" + "a" * 400, False),
        ("", False),
    ],
)
def test_only_a_web_address_is_a_link(url, goes):
    assert web_address(url) == (url if goes else None)
