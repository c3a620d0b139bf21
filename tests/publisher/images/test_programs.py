# SPDX-License-Identifier: Apache-2.0
"""A program is refused only where it surely starts on no node; what only a node can know is left to it."""

import tarfile

import pytest

from tests.fakes.images.image_cases import image_case
from tests.fakes.images.image_parts import APP, NET_BIND, SCRIPT, Parts, entry, tar
from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.images.programs import ELF, check_program
from trustedpods.publisher.images.source import open_image


def machine(number, order=1):
    """The head of an ELF file for that processor, its bytes in that order."""
    text = number.to_bytes(2, "little" if order == 1 else "big")
    return ELF + bytes((2, order, 1)) + bytes(9) + b"\x02\0" + text + bytes(600)


def link(name, target, kind=tarfile.SYMTYPE):
    return entry(name, type=kind, linkname=target)


def folder(name):
    return entry(name, type=tarfile.DIRTYPE)


WRONG = {
    "nothing there": ([folder("bin")], "/bin/serve", "is not in the image"),
    "no folder even": ([entry("x")], "/bin/serve", "is not in the image"),
    "a folder": ([folder("srv/")], "/srv", "is a folder"),
    "a folder by its slash": ([entry("srv/")], "/srv", "is a folder"),
    "no mode": ([entry("app", b"x", mode=0o644)], "/app", "may not be executed"),
    "AArch64": ([entry("app", machine(183))], "/app", "another processor"),
    "s390x": ([entry("app", machine(22, order=2))], "/app", "another processor"),
    "no interpreter": ([entry("app", b"#! /opt/ruby -w\n")], "/app", "a script for /opt/ruby, which"),
    "replaced": ([entry("app", SCRIPT), entry("app", machine(183))], "/app", "another processor"),
}
LEFT = {
    "x86-64": ([entry("app", machine(62))], "/app"),
    "i386": ([entry("app", machine(3))], "/app"),
    "an empty file": ([entry("app")], "/app"),
    "a text": ([entry("app", b"text")], "/app"),
    "not normal": ([entry("app", machine(62))], "//./app"),
    "a long name": ([entry("n" * 200, machine(62))], "/" + "n" * 200),
    "a link": ([link("app", "nowhere")], "/app"),
    "a hard link": ([entry("x", machine(62)), link("app", "x", tarfile.LNKTYPE)], "/app"),
    "a folder that is a link": ([link("bin", "usr/bin")], "/bin/serve"),
    "its interpreter behind a link": ([link("bin", "usr/bin"), entry("app", b"#!/bin/sh\n")], "/app"),
    "looked for in PATH": ([entry("x")], "serve"),
    "of the working folder": ([entry("x")], "./serve"),
    "of the kernel": ([entry("x")], "/proc/self/exe"),
    "with a way up": ([entry("x")], "/bin/../serve"),
    "with capabilities": (
        [entry("app", machine(62), pax_headers={"SCHILY.xattr.security.capability": NET_BIND})],
        "/app",
    ),
}


def ask(folder, layers, program, covered=(), **run):
    data = image_case(layers=layers, run={"Volumes": {"/volume": {}}} | run).make(Parts())
    (folder / "a.tar").write_bytes(data)
    image = open_image("oci-archive:a.tar", folder, folder / "cache")
    for _ in range(2):  # read, then remembered
        check_program(image, [program, "-x"], covered, folder / "cache", "pod.yaml:6")


@pytest.mark.parametrize("name", WRONG)
def test_what_starts_nowhere(tmp_path, name):
    entries, program, words = WRONG[name]
    for _ in range(2):
        with pytest.raises(BadInput, match=words) as caught:
            ask(tmp_path, (tar(*entries),), program)
        assert caught.value.where == "pod.yaml:6"
        assert caught.value.hint


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_to_the_node(tmp_path, name):
    entries, program = LEFT[name]
    ask(tmp_path, (tar(*entries),), program)


@pytest.mark.parametrize("covered", [["/"], ["/bin"], ["/bin/serve"], ["/other", "/bin/"]])
def test_what_a_volume_fills_is_left_to_the_node(tmp_path, covered):
    ask(tmp_path, (APP,), "/bin/serve", covered)
    ask(tmp_path, (APP,), "/volume/serve")


@pytest.mark.parametrize("covered", ["/b", "/bin/serve/x", "/serve"])
def test_a_volume_elsewhere_fills_nothing(tmp_path, covered):
    with pytest.raises(BadInput, match="not in the image"):
        ask(tmp_path, (APP,), "/bin/serve", [covered])


@pytest.mark.parametrize(
    ("above", "stays"),
    [
        (entry("bin/.wh.serve"), False),
        (entry(".wh.bin"), False),
        (entry("bin/.wh..wh..opq"), False),
        (entry(".wh..wh..opq"), False),
        (entry("bin/.wh.other"), True),
        (folder("bin"), True),
    ],
)
def test_later_layers_take_programs_away(tmp_path, above, stays):
    layers = (tar(folder("bin"), entry("bin/serve", machine(62))), tar(above))
    if stays:
        ask(tmp_path, layers, "/bin/serve")
        return
    with pytest.raises(BadInput, match="not in the image"):
        ask(tmp_path, layers, "/bin/serve")
    ask(tmp_path, (*layers, tar(entry("bin/serve", machine(62)))), "/bin/serve")


@pytest.mark.parametrize("kept", [b"", b"{}", b"[]", b'{"form": 1, "entries": {"app": 5}}', b'{"form": 1}'])
def test_what_was_kept_by_somebody_else_is_read_anew(tmp_path, kept):
    ask(tmp_path, (APP,), "/app")
    for file in (tmp_path / "cache" / "layers").iterdir():
        file.write_bytes(kept)
    ask(tmp_path, (APP,), "/app")
    with pytest.raises(BadInput):
        ask(tmp_path, (APP,), "/other")
