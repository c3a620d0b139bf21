# SPDX-License-Identifier: Apache-2.0
"""What a node would refuse to start is known from the image; archives of each kind are in `image_cases`."""

from dataclasses import replace

import pytest

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.descriptors import ImageConfig
from trustedpods.protocol.images.links import Links
from trustedpods.protocol.images.runnable import (
    capable_program,
    check_runnable,
    check_user,
    program_line,
    user_number,
)

SOUND = ImageConfig("linux", "amd64", 1, "10001", ("/app",), ("a",), (), ())


@pytest.mark.parametrize("user", ["", "root", "0", "0:0", "00", "root:root", ":5"])
def test_root_is_refused_with_the_remedy(user):
    with pytest.raises(BadInput, match="root") as caught:
        check_user(user)
    assert "USER 10001" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("command", "args", "line"),
    [
        ((), (), ["/app", "a"]),
        ((), ("b",), ["/app", "b"]),
        (("/x",), (), ["/x"]),
        (("/x",), ("b",), ["/x", "b"]),
    ],
)
def test_what_is_run(command, args, line):
    assert program_line(SOUND, command, args) == line


def test_a_command_in_the_manifest_is_enough():
    bare = replace(SOUND, entrypoint=(), cmd=())
    check_runnable(bare, ["/app"])
    check_runnable(bare, [], ["/app"])
    with pytest.raises(BadInput, match="names no program"):
        check_runnable(bare)


def test_programs_are_found_as_a_node_finds_them():
    links = Links()
    assert capable_program(SOUND, ["/bin/ping"], ["usr/bin/ping"], links) is None
    links.take("bin", "usr/bin")
    assert capable_program(SOUND, ["/bin/ping"], ["usr/bin/ping"], links) == "usr/bin/ping"
    assert capable_program(SOUND, ["ping"], ["usr/bin/ping"], links) == "usr/bin/ping"
    own = replace(SOUND, env=("PATH=/opt",))
    assert capable_program(own, ["ping"], ["usr/bin/ping"], links) is None
    assert capable_program(own, ["ping"], ["opt/ping"], links) == "opt/ping"
    assert capable_program(own, ["sh", "-c", "exec ping"], ["opt/ping"], links) == "opt/ping"


@pytest.mark.parametrize("text", ["", "root", "0:0", "nginx"])
def test_a_user_of_the_manifest_s_makes_up_for_the_image_s(text):
    image = replace(SOUND, user=text)
    check_runnable(image, user=10001)
    with pytest.raises(BadInput, match="the image"):
        check_runnable(image)


@pytest.mark.parametrize(
    ("image", "manifest", "number"),
    [("65532:65532", None, 65532), ("10001", 4711, 4711), ("", 4711, 4711), ("postgres", 4711, 4711)],
)
def test_the_manifests_user_is_a_containers_user(image, manifest, number):
    assert user_number(image, manifest) == number
