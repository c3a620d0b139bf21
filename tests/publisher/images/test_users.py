# SPDX-License-Identifier: Apache-2.0
"""Whom a name means in an image, and what is said where it means nobody."""

import tarfile

import pytest

from tests.fakes.images.image_cases import image_case
from tests.fakes.images.image_parts import Parts, entry, tar
from trustedpods.manifests.spec.container import Container
from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.images.source import open_image
from trustedpods.publisher.images.users import MAX_FILE, numbered

PASSWD = entry("etc/passwd", b"root:x:0:0::/:/bin/sh\napp:x:10001:20:App:/srv:/bin/sh\nbad\ntoor:x:0:0::/:\n")
GROUPS = entry("etc/group", b"root:x:0:\nstaff:x:50:app\nusers:x:20:\n")
BASE = tar(PASSWD, GROUPS)


def ask(folder, layers=(BASE,), user="", wanted=None, group=None):
    """Numbers of user and group that go to a provider; asked twice: read, then remembered."""
    (folder / "a.tar").write_bytes(image_case(layers=layers, run={"User": user}).make(Parts()))
    image = open_image("oci-archive:a.tar", folder, folder / "cache")
    context = {name: one for name, one in (("runAsUser", wanted), ("runAsGroup", group)) if one is not None}
    given = Container.model_validate(
        {"name": "app", "image": "oci-archive:a.tar", "securityContext": context}
    )
    first, again = (numbered(given, image, folder / "cache", "pod.yaml:6") for _ in range(2))
    assert first == again
    return first.security_context.run_as_user, first.security_context.run_as_group


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ({"wanted": "app"}, (10001, None)),
        ({"wanted": "app", "user": "root"}, (10001, None)),
        ({"wanted": "app", "user": "1:50"}, (10001, None)),
        ({"wanted": "app", "group": 7}, (10001, 7)),
        ({"user": "app"}, (10001, None)),
        ({"user": "app:staff"}, (10001, 50)),
        ({"user": "app:users"}, (10001, None)),
        ({"user": "app:77"}, (10001, 77)),
        ({"user": "5:staff"}, (5, 50)),
        ({"user": "5:6"}, (None, None)),
        ({"user": "app", "wanted": 3}, (3, None)),
        ({"user": "root"}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_names_become_numbers_and_numbers_stay(tmp_path, asked, numbers):
    assert ask(tmp_path, **asked) == numbers


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"wanted": "nobody"}, "no user nobody; its /etc/passwd has app$"),
        ({"user": "web"}, "no user web; its /etc/passwd has app$"),
        ({"wanted": "toor"}, "'toor' of the image is root"),
        ({"user": "0:staff"}, "the image's user is root"),
        ({"user": "+0:staff"}, "the image's user is root"),
        ({"user": "4294967295:staff"}, "no node starts one above"),
        ({"wanted": "root"}, "'root' of the image is root"),
        ({"user": "app:wheel"}, "no group wheel; its /etc/group has root, staff, users$"),
        ({"user": "app:root"}, "the group 'root' of the image's user is root"),
    ],
)
def test_who_is_nobody_is_refused_with_the_names_that_there_are(tmp_path, asked, words):
    with pytest.raises(BadInput, match=words) as caught:
        ask(tmp_path, **asked)
    assert caught.value.where == "pod.yaml:6"
    assert "runAsUser" in str(caught.value.hint)


LINK = {"type": tarfile.SYMTYPE, "linkname": "x"}


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ((tar(entry("x")),), "app is a name, and the image has no /etc/passwd"),
        ((BASE, tar(entry("etc/.wh.passwd"))), "app is a name, and the image has no /etc/passwd"),
        ((BASE, tar(entry("etc/.wh..wh..opq"))), "app is a name, and the image has no /etc/passwd"),
        ((tar(entry("etc/passwd", **LINK)),), "is a link, or no file"),
        ((BASE, tar(entry("etc", **LINK))), "is a link, or no file"),
        ((tar(entry("etc/passwd", b"a" * (MAX_FILE + 1))),), f"more than {MAX_FILE} bytes"),
        ((tar(entry("etc/passwd", b"app:x:99999999999:1::/:\n")),), "no node starts one above"),
        ((tar(entry("etc/passwd", b"app:x:-1:1::/:\n\xff\x1b[2J:x:5:5::/:\n")),), r"has .\?\[2J$"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_not_read_past_its_bounds(tmp_path, layers, words):
    with pytest.raises(BadInput, match=words):
        ask(tmp_path, layers, wanted="app")


def test_the_last_layer_that_has_the_file_says_it(tmp_path):
    above = tar(entry("etc/passwd", b"app:x:7:7::/:\n"))
    assert ask(tmp_path, (BASE, above), wanted="app") == (7, None)
    assert ask(tmp_path, (BASE, tar(entry("srv/x"))), wanted="app") == (10001, None)


def test_a_file_up_to_the_bound_is_read_whole(tmp_path):
    line = b"app:x:9:9::/:\n"
    text = b"#" * (MAX_FILE - len(line) - 1) + b"\n" + line
    assert ask(tmp_path, (tar(entry("etc/passwd", text), entry("y", b"z" * 700)),), wanted="app") == (9, None)


def test_a_refusal_lists_no_more_than_a_person_reads(tmp_path):
    text = b"".join(b"u%d:x:%d:1::/:\n" % (number, number) for number in range(1, 32))
    with pytest.raises(BadInput, match=r"u20 and 11 more"):
        ask(tmp_path, (tar(entry("etc/passwd", text)),), wanted="app")
