# SPDX-License-Identifier: Apache-2.0
"""A manifest made for an image: it is sound, says what the image says, and is read back as it was written."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.manifests.documents import first_document, plain, written
from trustedpods.manifests.draft import DRAFT_USER, DraftWords, drafted, name_of_image
from trustedpods.manifests.parse import load_made
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.descriptors import ImageConfig

FILE = Path("pod.yaml")


def image(
    user: str = "1000", volumes: tuple[str, ...] = (), ports: tuple[str, ...] = ("80/tcp",)
) -> ImageConfig:
    return ImageConfig("linux", "amd64", 1, user, ("/app",), (), (), volumes, ports=ports)


def made(config: ImageConfig, **words: Any) -> PodManifest:
    text = written(drafted("oci-archive:a.tar", "app", config, DraftWords(**words)).tree)
    tree, _ = first_document(text, FILE)
    return load_made(FILE, tree, plain(tree, FILE)).manifest


def test_the_port_is_the_images() -> None:
    spec = made(image()).spec
    assert [(one.expose, one.ports[0].port, one.ports[0].target) for one in spec.services] == [
        ("http", 80, 80)
    ]
    assert spec.containers[0].security_context.run_as_user is None


def test_ports_that_are_typed_take_the_place_of_the_images() -> None:
    spec = made(image(ports=("80/tcp", "443/tcp")), ports=("8080", "5432/tcp")).spec
    exposed = [(one.expose, one.ports[0].port, one.ports[0].target) for one in spec.services]
    assert exposed == [("http", 80, 8080), ("tcp", 5432, 5432)]


@pytest.mark.parametrize(
    ("ports", "said"),
    [((), "no port"), (("80/tcp", "443/tcp"), "80, 443"), (("53/udp",), "no port"), (("x",), "no port")],
)
def test_where_no_single_port_is_known_it_is_asked_for(ports: tuple[str, ...], said: str) -> None:
    with pytest.raises(BadInput, match=said) as raised:
        made(image(ports=ports))
    assert raised.value.where == "--port"


@pytest.mark.parametrize("user", ["", "root", "0", "0:0", "root:root", ":5"])
def test_root_is_replaced_and_that_is_told(user: str) -> None:
    draft = drafted("oci-archive:a.tar", "app", image(user), DraftWords())
    assert any("root" in note for note in draft.notes)
    assert made(image(user)).spec.containers[0].security_context.run_as_user == DRAFT_USER


@pytest.mark.parametrize("user", ["1000", "www-data", "10:10"])
def test_any_other_user_is_left_to_the_image(user: str) -> None:
    assert drafted("oci-archive:a.tar", "app", image(user), DraftWords()).notes == ()


def test_declared_paths_get_volumes_and_typed_sizes_win() -> None:
    config = image(volumes=("/data", "/log"))
    spec = made(config, volumes=("/data=2Gi",)).spec
    kept = {volume.name: volume.persistent.size for volume in spec.volumes if volume.persistent}
    assert {mount.mount_path: kept[mount.name] for mount in spec.containers[0].volume_mounts} == {
        "/data": 2048,
        "/log": 1024,
    }
    notes = drafted("x", "app", config, DraftWords(volumes=("/data=2Gi",))).notes
    assert [note for note in notes if "/log" in note] == list(notes)


@pytest.mark.parametrize(
    ("words", "where"),
    [
        ({"ports": ("x",)}, "--port"),
        ({"ports": ("70000",)}, "--port"),
        ({"ports": ("53/udp",)}, "--port"),
        ({"env": ("A",)}, "--env"),
        ({"env": ("=b",)}, "--env"),
        ({"volumes": ("/data",)}, "--volume"),
        ({"secrets": ("a=",)}, "--secret"),
        ({"secrets": ("x/key", "y/key")}, "--secret"),
        ({"volumes": ("data=1Gi",)}, "mountPath"),
        ({"volumes": ("/data=much",)}, "size"),
        ({"memory": "0"}, "memory"),
    ],
)
def test_a_wrong_word_is_named(words: dict[str, Any], where: str) -> None:
    with pytest.raises(BadInput) as raised:
        made(image(), **words)
    assert where in str(raised.value.where)


def test_a_value_is_not_shown_where_its_variable_is_wrong() -> None:
    with pytest.raises(BadInput) as raised:
        made(image(), env=("=password",))
    assert "password" not in f"{raised.value} {raised.value.hint}"


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=40))
def test_texts_are_read_back_as_they_were(value: str) -> None:
    tree, second = first_document(written({"a": [{"b": value}]}), FILE)
    assert (plain(tree, FILE), second) == ({"a": [{"b": value}]}, None)


@pytest.mark.parametrize(
    ("given_", "name"),
    [("./dist/My_App-1.0.tar", "my-app-1-0"), ("a/", "a"), ("_.tar", "app"), ("x" * 80, "x" * 63)],
)
def test_a_name_from_a_file(given_: str, name: str) -> None:
    assert name_of_image(given_) == name
