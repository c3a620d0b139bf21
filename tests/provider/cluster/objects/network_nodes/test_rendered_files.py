# SPDX-License-Identifier: Apache-2.0
"""Files as the book says them: replicas are made anew exactly where a file that asks for it changed."""

import base64
from dataclasses import replace

import pytest

from tests.fakes.provider.pods import a_life, a_manifest
from tests.protocol.networks.books import a_book, entry
from tests.provider.names.test_own_pods import PLACE
from trustedpods.protocol.errors import BadInput
from trustedpods.provider.cluster.objects.network_nodes.rendered_files import RENDERED_NOTE, rendered_secrets
from trustedpods.provider.cluster.objects.pod_objects import objects

FILES = {"peers": b"${node.b.web.address}:${node.b.web.publishedPort}", "other": b"${node.b.web.port}"}


def a_node(on_change="restart", files=FILES):
    secret = {"files": dict.fromkeys(files, "x"), "rendered": ["peers"], "onChange": on_change}
    manifest = a_manifest(network={"nodes": ["b"]}, volumes=[{"name": "config", "secret": secret}])
    return replace(a_life(manifest), secrets={"config": files}, resolver=PLACE)


def made(life, book):
    return {(one["kind"], one["metadata"]["name"]): one for one in objects(replace(life, book=book))}


def file_of(found, name="peers"):
    return base64.b64decode(found["Secret", "config"]["data"][name])


def test_only_what_is_listed_is_rendered():
    found = made(a_node(), a_book())
    assert file_of(found) == b"192.0.2.7:30001"
    assert file_of(found, "other") == FILES["other"]


@pytest.mark.parametrize(("on_change", "anew"), [("restart", True), ("reload", False)])
def test_a_far_port_that_changes_changes_the_file(on_change, anew):
    life = a_node(on_change)
    before, after = made(life, a_book()), made(life, a_book(entry(published=30002), generation=2))
    assert file_of(after) == b"192.0.2.7:30002"
    assert (before["Deployment", "pod"] != after["Deployment", "pod"]) is anew
    template = after["Deployment", "pod"]["spec"]["template"]["metadata"]
    assert (RENDERED_NOTE in template.get("annotations", {})) is anew


def test_an_equal_text_makes_nothing_anew():
    life = a_node()
    other = a_book(entry(), entry("c"), generation=9)
    before, after = made(life, a_book()), made(life, other)
    assert before["Deployment", "pod"] == after["Deployment", "pod"]
    assert before["Secret", "config"] == after["Secret", "config"]


def test_a_reference_to_what_the_book_does_not_have_is_refused():
    life = a_node(files={"peers": b"${node.b.api.port}", "other": b""})
    with pytest.raises(BadInput, match="no exposed service") as caught:
        rendered_secrets(life.manifest, life.secrets, a_book())
    assert caught.value.where == "config/peers"
    life = a_node(files={"peers": b"\xff", "other": b""})
    with pytest.raises(BadInput, match="UTF-8"):
        rendered_secrets(life.manifest, life.secrets, a_book())
