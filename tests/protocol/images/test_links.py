# SPDX-License-Identifier: Apache-2.0
"""A path leads where the kernel leads it."""

import errno
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.links import MAX_LINK_TEXT, MAX_LINKS, MAX_PATH, LayerPlaces, Links

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


@st.composite
def an_entry(draw):
    """A file, a folder, a symbolic link that stays within, or a hard link: path, kind, target."""
    kind = draw(st.sampled_from(["file", "folder", "soft", "hard"]))
    if kind == "soft":
        path, target = draw(a_link())
        return path, kind, target
    return "/".join(draw(PATHS)), kind, "/".join(draw(PATHS)) if kind == "hard" else None


def cleared(place, kind):
    """What stands in the place of an entry goes; False where names of ours may be gone with it."""
    whole = place.is_dir() and not place.is_symlink()
    if whole and kind != "folder":
        shutil.rmtree(place)
        return kind == "hard"
    if os.path.lexists(place) and not whole:
        place.unlink()
    return True


def made(root, place, kind, target):
    """The entry itself, as containerd makes it; None where a hard link leads out of the tree."""
    above = Path(os.path.realpath(root / Path(target or "").parent))
    if kind == "hard" and not above.is_relative_to(root):
        return None
    {
        "hard": lambda: os.link(above / Path(target).name, place, follow_symlinks=False),
        "soft": lambda: place.symlink_to(target),
        "folder": lambda: place.mkdir(exist_ok=True),
        "file": place.touch,
    }[kind]()
    return True


def unpacked(root, path, kind, target):
    """Whether containerd's way works; None where what follows, or how links go round, is left open."""
    parent = Path(os.path.realpath(root / Path(path).parent))
    if not parent.is_relative_to(root):
        return None
    try:
        parent.mkdir(parents=True, exist_ok=True)
        place = parent / Path(path).name
        return made(root, place, kind, target) if cleared(place, kind) else None
    except OSError as failed:
        return None if failed.errno == errno.ELOOP else False


THROUGH = [("a", "soft", "b"), ("a/x", "file", None)]


@given(st.lists(an_entry(), max_size=9))
@example([*THROUGH, ("c", "hard", "b/x")])
@example([*THROUGH, ("c", "hard", "a/x"), ("a/y", "hard", "c"), ("z", "hard", "b/y")])
@example([*THROUGH, ("b/up", "soft", "../b"), ("c", "hard", "a/up/x")])
@example([*THROUGH[:1], ("c", "hard", "a/x")])
@example([("a", "file", None), ("a", "hard", "a")])
@example([("a", "folder", None), ("b", "hard", "a")])
@example([("a", "folder", None), ("a/x", "file", None), ("a", "hard", "a/x")])
@example([("a", "file", None), ("a/b/c", "file", None)])
@example([("a", "file", None), ("b", "soft", "a"), ("b/c", "file", None)])
@example([("a", "file", None), ("a", "folder", None), ("a/c", "file", None)])
@example([*THROUGH[:1], ("b/x", "file", None), ("c", "hard", "a/x"), ("d", "hard", "a/c")])
def test_an_entry_is_refused_where_a_node_cannot_make_it(entries):
    with tempfile.TemporaryDirectory() as folder:
        root, places = Path(folder).resolve() / "1" / "2" / "3" / "4", LayerPlaces(100)
        root.mkdir(parents=True)
        for path, kind, target in entries:
            works = unpacked(root, path, kind, target)
            if works is None:
                return
            named = f"/{target}" if kind == "hard" else target
            taken = True
            try:
                places.take(path, named, hard=kind == "hard", folder=kind == "folder")
            except BadInput:
                taken = False
            assert taken == works, (path, kind, target)
            if not works:
                return


def test_behind_too_many_names_or_too_long_links_a_node_may_know_better():
    few = LayerPlaces(1)
    with pytest.raises(BadInput, match="which is not before it in that layer"):
        few.take("hard", "/nothing", hard=True)
    few.take("file", None)
    few.take("hard", "/nothing", hard=True)
    long = LayerPlaces(1 << 20)
    for number in range(MAX_LINK_TEXT // MAX_PATH + 1):
        long.take(f"link{number}", "t" * MAX_PATH)
    long.take("hard", "/nothing", hard=True)


def test_what_is_longer_than_any_path_is_refused_before_it_is_walked():
    """Each sign of a path is looked at once for each of its folders, in the provider's daemon too."""
    deep = "a/" * (1 << 19) + "b"
    for path, target in [(deep, None), ("a", deep), ("a", "../" * MAX_PATH), ("a", f"/{deep}")]:
        with pytest.raises(BadInput, match="a path of more than 4096 bytes; nodes cannot unpack it"):
            LayerPlaces(100).take(path, target, hard=target is not None and target[0] == "/")
    LayerPlaces(100).take("b" * MAX_PATH, "c" * MAX_PATH)


def test_links_do_not_make_a_path_longer_than_any():
    places = LayerPlaces(100)
    places.take("l", "a/" * 1500)
    places.take("l/m", "b/" * 1500)
    with pytest.raises(BadInput, match="'l/m/n' has a path of more than 4096 bytes"):
        places.take("l/m/n", None)


def test_the_work_for_one_layer_has_an_end():
    places = LayerPlaces(100, most_steps=3000)
    places.take("a", "x/../" * 800 + "b")
    places.take("a/1", None)
    with pytest.raises(BadInput, match="which is not before it in that layer"):
        places.take("hard", "/nothing", hard=True)
    places.take("a/2", None)
    places.take("hard", "/nothing", hard=True)


def test_files_that_differ_in_what_is_no_text_are_not_taken_for_each_other():
    places = LayerPlaces(100)
    places.take("\ufffd", None, folder=True)
    places.take("\ufffd", None)
    places.take("\ufffd/file", None)
    places.take("\ufffd", None, folder=True)
    places.take("hard", "/\ufffd", hard=True)
