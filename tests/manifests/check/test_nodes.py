# SPDX-License-Identifier: Apache-2.0
"""Nodes that a pod calls, and its files that refer to them: file, line and column of what is wrong."""

import pytest

from tests.manifests.cases import BASE, instead
from trustedpods.manifests.parse import load
from trustedpods.protocol.errors import BadInput

PEERS = b"peer = ${node.b.web.address}\n"


def manifest(nodes="[b]", secret="files: {peers: peers.txt}, rendered: [peers]", mount=""):
    text = instead(
        "      resources:\n", f"      volumeMounts: [{{name: v, mountPath: /v{mount}}}]\n      resources:\n"
    )
    return f"{text}  network: {{nodes: {nodes}}}\n  volumes:\n    - {{name: v, secret: {{{secret}}}}}\n"


def loaded(folder, text, peers=PEERS):
    (folder / "peers.txt").write_bytes(peers)
    (folder / "pod.yaml").write_text(text)
    return load(folder / "pod.yaml")


def test_a_node_with_a_rendered_file_is_sound(tmp_path):
    spec = loaded(tmp_path, manifest()).manifest.spec
    assert spec.network.nodes == ["b"]
    assert spec.network.by_name, "somebody must answer for its names"
    (volume,) = spec.volumes
    assert (volume.secret.rendered, volume.secret.on_change) == (["peers"], "restart")


VARIABLE = "env: [{name: A, valueFrom: {secretKeyRef: {name: v, key: peers}}}]"
RELOAD = "files: {peers: peers.txt}, rendered: [peers], onChange: reload"
CERTIFIED = "{type: p256, identity: true, certificates: {tls.pem: a.ring.internal}}"
RENEWED = f"generate: {{key: {CERTIFIED}}}, onChange: reload"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (manifest("[b, b]"), "listed twice"),
        (manifest("[B]"), "lower-case letters"),
        (manifest(secret="files: {peers: peers.txt}, rendered: [other]"), "no file 'other' is there"),
        (manifest(secret="files: {peers: peers.txt}, onChange: reload"), "list them in `rendered`"),
        (manifest(secret=RELOAD, mount=", subPath: peers"), "by subPath never changes"),
        (manifest(secret=RENEWED, mount=", subPath: tls.pem"), "by subPath never changes"),
        (
            manifest(secret=RENEWED).replace(
                "      resources:\n", f"      {VARIABLE.replace('peers', 'tls.pem')}\n      resources:\n"
            ),
            "a variable of 'app' never changes",
        ),
        (manifest().replace("name: web", "name: peer-b"), "kept for the way to another node"),
        (
            manifest(secret=RELOAD).replace(
                "      resources:\n",
                f"      {VARIABLE}\n      resources:\n",
            ),
            "a variable of 'app' never changes",
        ),
        (
            manifest(secret=RELOAD).replace(
                "      resources:\n", "      envFrom: [{secretRef: {name: v}}]\n      resources:\n"
            ),
            "a variable of 'app' never changes",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, text, words):
    with pytest.raises(BadInput, match=words) as caught:
        loaded(tmp_path, text)
    assert "pod.yaml:" in caught.value.where


@pytest.mark.parametrize(
    ("peers", "words"),
    [
        (b"a\n b ${node.c.web.port}", "peers:2:4: 'c' is no node that the pod calls"),
        (b"\n\n${node.b.web}", "peers:3:1: .* is no reference"),
        (b"\xff", "is not UTF-8"),
    ],
)
def test_a_wrong_file_is_told_with_its_own_place(tmp_path, peers, words):
    with pytest.raises(BadInput, match=words):
        loaded(tmp_path, manifest(), peers)


ALL = b"\n ${node.*.identity.ca}\n"


def test_all_nodes_are_of_a_pod_that_calls_some(tmp_path):
    """Without a book nothing is rendered, and the text itself would be the file of who is trusted."""
    with pytest.raises(BadInput, match="peers:2:2: the pod calls no nodes, so it trusts none"):
        loaded(tmp_path, manifest("[]"), ALL)
    assert loaded(tmp_path, manifest(), ALL)
    assert loaded(tmp_path, manifest("[], linkedNodes: 1"), ALL)


def test_a_certificate_that_is_mounted_as_a_folder_is_reloaded(tmp_path):
    assert loaded(tmp_path, manifest(secret=RENEWED))


def test_a_pod_without_any_of_it_is_as_it_was(tmp_path):
    assert loaded(tmp_path, BASE).manifest.spec.network.nodes == []
