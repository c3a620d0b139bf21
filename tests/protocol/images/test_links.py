# SPDX-License-Identifier: Apache-2.0
"""A path leads where the kernel leads it."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.images.links import MAX_LINKS, Links

NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3)


@st.composite
def a_link(draw):
    """A path and a target that goes up no further than the path is deep."""
    path = draw(PATHS)
    up = draw(st.integers(0, len(path) - 1))
    return "/".join(path), "/".join([".."] * up + draw(PATHS))


@given(st.lists(a_link(), max_size=6), PATHS.map("/".join))
def test_links_are_followed_as_on_a_disk(made, path):
    """What leads out of the tree, or in a circle, is left out: there containers differ from folders."""
    with tempfile.TemporaryDirectory() as folder:
        root, links = Path(folder).resolve() / "1" / "2" / "3" / "4", Links()
        root.mkdir(parents=True)
        for name, target in made:
            with suppress(OSError):
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                there = os.path.relpath((root / name).parent.resolve(), root)
                (root / name).symlink_to(target)
                links.take(os.path.normpath(os.path.join(there, Path(name).name)), target)
        try:
            real = Path(os.path.realpath(root / path, strict=True))
        except FileNotFoundError:
            real = Path(os.path.realpath(root / path))
        except OSError:  # a circle
            assert links.resolve(path) == path
            return
        if real.is_relative_to(root):
            assert (links.resolve(path) or ".") == real.relative_to(root).as_posix()


def test_a_later_entry_takes_a_links_place():
    links = Links()
    links.take("bin", "usr/bin")
    assert links.resolve("/bin/app") == "usr/bin/app"
    links.take("bin", None)
    assert links.resolve("/bin/app") == "bin/app"
    links.take("bin", "/sbin")
    links.take(".wh.bin", None)
    assert links.resolve("./bin//app") == "bin/app"


def test_who_goes_round_in_circles_stays_where_he_is():
    links = Links()
    links.take("a", "b/../a")
    assert links.resolve("/a/x") == "a/x"
    assert links.resolve("/../../etc") == "etc"


def test_links_beyond_the_bound_are_not_followed():
    links = Links()
    for number in range(MAX_LINKS + 1):
        links.take(f"l{number}", "there")
    assert links.resolve("l0") == "there"
    assert links.resolve(f"l{MAX_LINKS}") == f"l{MAX_LINKS}"
