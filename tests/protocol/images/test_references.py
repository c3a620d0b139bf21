# SPDX-License-Identifier: Apache-2.0
"""Names of images are those of distribution/reference: its own table, and names made by its grammar."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.references import ImageReference, is_reference, parse_reference

SHA = "sha256:" + "f0" * 32

NAMES = {
    "redis": ("docker.io", "library/redis", "latest", None),
    "redis:7": ("docker.io", "library/redis", "7", None),
    "library/redis": ("docker.io", "library/redis", "latest", None),
    "docker.io/redis": ("docker.io", "library/redis", "latest", None),
    "index.docker.io/redis": ("docker.io", "library/redis", "latest", None),
    "team/app:v1.2-rc_3": ("docker.io", "team/app", "v1.2-rc_3", None),
    "localhost/app": ("localhost", "app", "latest", None),
    "localhost:5000/app:1": ("localhost:5000", "app", "1", None),
    "127.0.0.1:5000/a/b/c": ("127.0.0.1:5000", "a/b/c", "latest", None),
    "[::1]:5000/app": ("[::1]:5000", "app", "latest", None),
    "ghcr.io/o/app@" + SHA: ("ghcr.io", "o/app", None, SHA),
    "ghcr.io/o/app:1@" + SHA: ("ghcr.io", "o/app", "1", SHA),
    "xn--n3h.com/myimage:xn--n3h.com": ("xn--n3h.com", "myimage", "xn--n3h.com", None),
    "aa/asdf$$^/aa": None,
    "foo_bar.com:8080": ("docker.io", "library/foo_bar.com", "8080", None),
    "foo/foo_bar.com:8080": ("docker.io", "foo/foo_bar.com", "8080", None),
    "a__b/c---d": ("docker.io", "a__b/c---d", "latest", None),
    "Upper/app": ("Upper", "app", "latest", None),
    "test:5000/repo": ("test:5000", "repo", "latest", None),
    "": None,
    ":justtag": None,
    "@" + SHA: None,
    "repo@sha256:ffff": None,
    "repo@sha512:" + "0" * 128: None,
    "Uppercase:tag": None,
    "a/Upper:tag": None,
    "a" * 300 + "/b": None,
    "-foo/bar": None,
    "foo_bar.com-/x": None,
    "foo_bar.com/x": None,
    "a___b": None,
    "a//b": None,
    "/a": None,
    "a/": None,
    "a:" + "t" * 129: None,
    "https://github.com/docker/docker": None,
    "docker://redis": None,
    "./app": None,
    "../app": None,
    "app tar": None,
    "ap\np": None,
    "redis:7\n": None,
    "f0" * 32: None,
}


@pytest.mark.parametrize("text", NAMES)
def test_a_name_is_read_as_docker_reads_it(text):
    expected = NAMES[text]
    assert is_reference(text) is (expected is not None)
    if expected is None:
        with pytest.raises(BadInput) as caught:
            parse_reference(text)
        assert caught.value.hint or "longer" in caught.value.what
    else:
        assert parse_reference(text) == ImageReference(*expected)


def test_an_uppercase_name_is_said_to_be_written_small():
    with pytest.raises(BadInput) as caught:
        parse_reference("Redis:7")
    assert "redis:7" in caught.value.hint


SMALL = st.text("abcxyz019", min_size=1, max_size=6)
PATH = st.lists(SMALL, min_size=1, max_size=3).flatmap(
    lambda parts: st.sampled_from([".", "_", "__", "-", "---"]).map(lambda sign: sign.join(parts))
)
HOSTS = st.sampled_from(["a.example", "localhost", "r:5000", "10.0.0.1:1", "[fe80::1]", "A.Example:443"])
TAGS = st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", fullmatch=True)
DIGESTS = st.none() | st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True)


@settings(max_examples=examples(300))
@given(st.none() | HOSTS, st.lists(PATH, min_size=1, max_size=4), TAGS, DIGESTS)
def test_what_the_grammar_makes_is_read_back_whole(host, parts, tag, digest):
    if host is None and parts[0].count("."):
        parts = ["first", *parts]
    path = "/".join(parts)
    text = ("" if host is None else f"{host}/") + path + (f":{tag}" if tag else "")
    read = parse_reference(text + (f"@{digest}" if digest else ""))
    assert read.host == (host or "docker.io")
    assert read.repository.removeprefix("library/") == path.removeprefix("library/")
    assert (read.tag, read.digest) == (tag or (None if digest else "latest"), digest)
    assert parse_reference(str(read)) == read
    assert read.asked in str(read)


@settings(max_examples=examples(500))
@given(st.text("aA0._-:/@[] \n", max_size=24) | st.text(max_size=24))
def test_any_text_is_a_name_that_reads_the_same_in_full_or_one_clear_error(text):
    try:
        read = parse_reference(text)
    except BadInput:
        return
    assert parse_reference(str(read)) == read
