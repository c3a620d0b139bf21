# SPDX-License-Identifier: Apache-2.0
"""Network files: sound ones, and all that is wrong in them and in their nodes' files at once."""

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from trustedpods.manifests.network import model as spec
from trustedpods.manifests.network.load import is_network, load_network
from trustedpods.manifests.parse import load
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.networks import content, members

ALICE = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
BOB = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
POD = """\
apiVersion: trustedpods/v1
kind: Pod
metadata: {name: hello}
spec:
  containers:
    - name: hello
      image: oci-archive:hello.tar
      ports: [{containerPort: 8080}]
  services:
    - {name: web, expose: http, ports: [{port: 80, targetPort: 8080}]}
"""
NETWORK = f"""\
apiVersion: trustedpods/v1
kind: Network
metadata: {{name: shop}}
spec:
  members:
    - {{address: "{ALICE}", role: owner}}
    - {{address: "{BOB}", role: viewer}}
  nodes:
    - {{name: a, pod: pod.yaml, cluster: k1}}
    - name: b
      pod: pod.yaml
      cluster: k2
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pod.yaml").write_text(POD)
    return tmp_path


def same(loaded):
    return loaded


def write(folder, text):
    path = folder / "network.yaml"
    path.write_text(text)
    return path


def refused(folder, text):
    with pytest.raises(BadInput) as caught:
        load_network(write(folder, text), same)
    return str(caught.value).replace(f"{folder}/", "")


def test_a_sound_network_reads_each_file_once(folder):
    read = []

    def once(loaded):
        read.append(loaded.path)
        return loaded

    loaded = load_network(write(folder, NETWORK), once)
    assert [(node.name, node.entry.cluster) for node in loaded.nodes] == [("a", "k1"), ("b", "k2")]
    assert read == [folder / "pod.yaml"]
    assert loaded.pods["a"] is loaded.pods["b"]
    assert loaded.manifest.spec.members[1].role == "viewer"
    assert is_network(loaded.path)
    assert not is_network(folder / "pod.yaml")


def test_everything_that_is_wrong_is_said_at_once_where_it_is(folder):
    (folder / "bad.yaml").write_text(POD.replace("containerPort: 8080", "containerPort: 0"))
    text = NETWORK.replace("role: viewer", "role: boss").replace("cluster: k2", "cluster: K2")
    text = text.replace("pod: pod.yaml, cluster: k1", "pod: none.yaml, cluster: k1")
    text = text.replace("      pod: pod.yaml", "      pod: bad.yaml\n      colour: red")
    told = refused(folder, text)
    for place in (
        "network.yaml:7 spec.members[1].role",
        "network.yaml:13 spec.nodes[1].cluster",
        "network.yaml:12 spec.nodes[1].colour: unknown field",
        "network.yaml:9 spec.nodes[0].pod: no such file: none.yaml",
        "bad.yaml:8 spec.containers[0].ports[0].containerPort",
    ):
        assert place in told, told


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("name: b\n", "name: a\n", "network.yaml:10 spec.nodes[1].name: the name 'a' is used twice"),
        (BOB, ALICE.lower(), "network.yaml:7 spec.members[1].address: the address"),
        (BOB, BOB[:-1] + "c", "network.yaml:7 spec.members[1].address: "),
        ("role: owner", "role: operator", "network.yaml:5 spec.members: no owner"),
        ("{name: shop}", "{name: Shop}", "network.yaml:3 metadata.name: 'Shop' cannot stand here"),
        ("{name: shop}", "{name: shop, founder: me}", "network.yaml:3 metadata.founder"),
        ("role: viewer}", "role: viewer, card: none}", "network.yaml:7 spec.members[1].card: no such file"),
        ("pod: pod.yaml, cl", f"pod: {'x' * 300}, cl", "spec.nodes[0].pod: no such file"),
        ("spec:", "---\nspec:", "network.yaml:4: one network per file; a second document begins at line 4"),
        (f'"{BOB}"', BOB, "network.yaml:7 spec.members[1].address: a text is wanted: write it in quotes"),
        ("  nodes:", "  replicas: 2\n  nodes:", "network.yaml:8 spec.replicas: unknown field"),
    ],
)
def test_what_is_refused(folder, old, new, told):
    assert old in NETWORK
    assert told in refused(folder, NETWORK.replace(old, new, 1))


def test_a_network_is_no_pod_and_a_nodes_file_is_no_network(folder):
    with pytest.raises(BadInput, match="this is a network of pods") as caught:
        load(write(folder, NETWORK))
    assert caught.value.hint == "`trustedpods network apply` takes it"
    assert "network.yaml:2 kind: this is a network" in refused(
        folder, NETWORK.replace("pod: pod.yaml", "pod: network.yaml", 1)
    )


def test_the_bounds_are_those_of_the_document():
    assert spec.MAX_NETWORK_NODES == content.MAX_COMPONENTS
    assert spec.MAX_NETWORK_MEMBERS == members.MAX_MEMBERS


@settings(max_examples=examples(200), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_is_refused_with_its_place_or_sound(folder, data):
    lines = NETWORK.splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    lines[at] = data.draw(
        st.sampled_from(["", "  - x", "spec: []", "  nodes: 3", "  members: {}", "a: &a [*a]"])
    )
    path = write(folder, "\n".join(lines))
    with contextlib.suppress(BadInput):
        load_network(path, same)
        return
    with pytest.raises(BadInput) as caught:
        load_network(path, same)
    assert caught.value.where.startswith(str(path))


AWAKE = POD.replace("  services:", "  scale: {min: 1}\n  services:")
PROBED = (
    NETWORK
    + """\
  probes:
    - {name: works, node: a, exec: {command: [look]}}
    - name: whole
      node: b
      container: hello
      exec: {command: [look, "-v"]}
      timeoutSeconds: 5
"""
)


@pytest.fixture
def awake(folder):
    """The same, with a pod that does not sleep."""
    (folder / "pod.yaml").write_text(AWAKE)
    return folder


def test_probes_are_asked_of_nodes_and_containers_that_are_there(awake):
    loaded = load_network(write(awake, PROBED), same)
    assert [
        (one.name, one.node, one.container, one.exec.command, one.timeout_seconds)
        for one in loaded.manifest.spec.probes
    ] == [("works", "a", None, ["look"], 60), ("whole", "b", "hello", ["look", "-v"], 5)]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("node: b", "node: c", "network.yaml:16 spec.probes[1].node: no node 'c' is there (there is: a, b)"),
        ("name: whole", "name: works", "'works' is used twice"),
        ("container: hello", "container: helo", "node 'b' has no container 'helo' (there is: hello)"),
        ("timeoutSeconds: 5", "timeoutSeconds: 0", "spec.probes[1].timeoutSeconds"),
        ("exec: {command: [look]}", "", "spec.probes[0]"),
        (
            "exec: {command: [look]}",
            f"exec: {{command: [{'x' * 9000}, {'y' * 9000}]}}",
            "spec.probes[0].exec.command: more than 16384 bytes",
        ),
    ],
)
def test_a_probe_that_cannot_be_asked_is_refused(awake, old, new, told):
    assert told in refused(awake, PROBED.replace(old, new))


def test_of_several_containers_a_probe_names_one(awake):
    second = '    - {name: beside, image: "oci-archive:hello.tar"}\n  scale:'
    (awake / "pod.yaml").write_text(AWAKE.replace("  scale:", second))
    assert "name one `container` of hello, beside" in refused(awake, PROBED)


def test_a_probe_may_be_asked_of_a_sidecar(awake):
    beside = """\
  initContainers:
    - {name: beside, image: "oci-archive:hello.tar", restartPolicy: Always}
    - {name: before, image: "oci-archive:hello.tar"}
  scale:"""
    (awake / "pod.yaml").write_text(AWAKE.replace("  scale:", beside))
    asked = PROBED.replace("container: hello", "container: beside")
    assert load_network(write(awake, asked), same).manifest.spec.probes[0].container is None
    told = refused(awake, PROBED.replace("container: hello", "container: before"))
    assert "node 'b' has no container 'before' (there is: beside, hello)" in told


def test_a_node_that_may_sleep_has_no_probe(folder):
    """Asleep it runs nothing, and an apply would fail whenever nobody has asked for it lately."""
    told = refused(folder, PROBED)
    assert "spec.probes[0].node: node 'a' sleeps while nobody asks for it" in told
    assert "spec.probes[1].node: node 'b' sleeps while nobody asks for it" in told
