# SPDX-License-Identifier: Apache-2.0
"""Who may look: the browser that opened the link first, under the page's own name."""

import pytest

from trustedpods.protocol.local_page.access import COOKIE, HEADERS, PageAccess


def test_the_link_works_once():
    access = PageAccess(8000)
    word = access.link.rsplit("/", 1)[1]
    assert access.link == f"http://127.0.0.1:8000{access.folder}/open/{access.word}"
    assert not access.use_link("")
    assert not access.use_link(word[:-1])
    assert not access.use_link("é")
    assert access.use_link(word)
    assert not access.use_link(word)


def test_only_the_cookie_lets_in():
    access = PageAccess(8000)
    assert access.may_look({COOKIE: access.cookie})
    for cookies in ({}, {COOKIE: ""}, {COOKIE: access.word}, {COOKIE: "é"}, {"other": access.cookie}):
        assert not access.may_look(cookies)
    assert f"; Path={access.folder}; HttpOnly; SameSite=Strict" in access.set_cookie


@pytest.mark.parametrize(
    ("hosts", "right"),
    [
        (["127.0.0.1:8000"], True),
        (["localhost:8000"], True),
        (["127.0.0.1"], False),
        (["127.0.0.1:8001"], False),
        (["evil.example:8000"], False),
        (["127.0.0.1:8000.evil.example"], False),
        (["127.0.0.1:8000", "evil.example"], False),
        ([], False),
    ],
)
def test_another_name_is_not_this_page(hosts, right):
    assert PageAccess(8000).named_right(hosts) == right


def test_no_two_pages_have_the_same_secrets():
    one, other = PageAccess(1), PageAccess(1)
    secrets = {one.folder, one.word, one.cookie, other.folder, other.word, other.cookie}
    assert len(secrets) == 6


def test_nothing_inline_and_nothing_from_elsewhere():
    policy = HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "http" not in policy
