# SPDX-License-Identifier: Apache-2.0
"""Networks whose nodes are made from templates: each node's pod, and every error with its line."""

import hashlib

import pytest

from tests.manifests.network.test_load import refused, same, write
from trustedpods.manifests.network.load import load_network

TEMPLATE = """\
apiVersion: trustedpods/v1
kind: Pod
metadata: {name: node}
spec:
  workload: stateful
  replicas: 1
  containers:
    - name: node
      image: oci-archive:node.tar
      args: ["--name=${self.name}", "--peer=${external.partner.p2p}", "${values.mode}"]
      ports: [{containerPort: "${values.port}"}]
      resources: {limits: {cpu: "${values.cpu}", memory: 64Mi}}
      volumeMounts: [{name: files, mountPath: /files, readOnly: true}]
  volumes:
    - name: files
      secret: {files: {genesis.json: "${shared.genesis}", key: "keys/${self.index}"}}
"""
GENESIS = b'{"chain": 7}'
NETWORK = f"""\
apiVersion: trustedpods/v1
kind: Network
metadata: {{name: chain}}
spec:
  sharedFiles:
    - {{name: genesis, file: genesis.json, sha256: {hashlib.sha256(GENESIS).hexdigest()}}}
  externalNodes:
    - {{name: partner, endpoints: {{p2p: "203.0.113.7:30303"}}}}
  templates:
    node:
      pod: parts/node.yaml
      values: {{mode: full, port: 30303, cpu: 100m}}
    web:
      spec:
        containers:
          - name: web
            image: oci-archive:web.tar
            env: [{{name: NETWORK, value: "${{self.network}} $${{self.network}}"}}]
            ports: [{{containerPort: 8080}}]
        services: [{{name: web, expose: http, ports: [{{port: 80, targetPort: 8080}}]}}]
  nodes:
    - {{name: node, template: node, replicas: 2, placement: {{distinct: provider}}, values: {{mode: light}}}}
    - {{name: web, template: web, cluster: k1, dependsOn: [node]}}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "parts/keys").mkdir(parents=True)
    (tmp_path / "parts/node.yaml").write_text(TEMPLATE)
    (tmp_path / "genesis.json").write_bytes(GENESIS)
    for number in range(2):
        (tmp_path / f"parts/keys/{number}").write_text(f"key {number}")
    return tmp_path


def test_every_node_gets_its_own_pod(folder):
    loaded = load_network(write(folder, NETWORK), same)
    assert list(loaded.pods) == ["node-1", "node-2", "web"]
    second = loaded.pods["node-2"]
    (container,) = second.manifest.spec.containers
    assert container.args == ["--name=node-2", "--peer=203.0.113.7:30303", "light"]
    assert container.ports[0].container_port == 30303
    assert second.secrets["files"] == {"genesis.json": GENESIS, "key": b"key 1"}
    (web,) = loaded.pods["web"].manifest.spec.containers
    assert web.env[0].value == "chain ${self.network}"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("mode: full, ", "mood: full, ", ":12 spec.templates.node.values.mood: template 'node' does not ask"),
        ("{mode: light}", "{mode: light, x: 1}", ":22 spec.nodes[0].values.x: template 'node' does not ask"),
        ("{mode: light}", "{mode: [1]}", ":22 spec.nodes[0].values.mode: a value is a text"),
        ("port: 30303", "port: 0", "parts/node.yaml:11 spec.containers[0].ports[0].containerPort"),
        ("port: 30303", "port: 0", "(node node-1)"),
        ("port: 30303, ", "", "node.yaml:11 spec.containers[0].ports[0].containerPort: nothing is called"),
        ("web.tar", "web.tar\n            no: 1", ":18 spec.containers[0].no: unknown field (node web)"),
        ("template: web", "template: wbe", ":23 spec.nodes[1].template: no template 'wbe' is there"),
        ("dependsOn: [node]", "dependsOn: [node-3]", "spec.nodes[1].dependsOn[0]: no node 'node-3' is there"),
        ("dependsOn: [node]", "dependsOn: [web]", "spec.nodes[1].dependsOn[0]: 'web' would wait for itself"),
        ("values: {mode: light}", "dependsOn: [web]", "these wait for each other, so none could begin: "),
        ("replicas: 2", "replicas: 128", "spec.nodes: more than 128 nodes with all replicas"),
        ("{name: web, template", "{name: node-2, template", "a replica is called 'node-2', as another"),
        ("cluster: k1, ", "", ":23 spec.nodes[1]: give either a `cluster` or a `placement`"),
        ("pod: parts/node.yaml", "pod: parts/none.yaml", "spec.templates.node.pod: no such file: parts/none"),
        ("pod: parts/node.yaml", "pod: network.yaml", "network.yaml:2 kind: this is a network of pods"),
        ("file: genesis.json", "file: parts/node.yaml", ":6 spec.sharedFiles[0].sha256: parts/node.yaml has"),
        ("{name: partner, ", "{name: web, ", ":8 spec.externalNodes[0].name: 'web' is a node of this file"),
    ],
)  # fmt: skip
def test_what_is_refused(folder, old, new, told):
    assert old in NETWORK
    assert told in refused(folder, NETWORK.replace(old, new, 1))


def test_what_is_wrong_in_a_template_is_said_once_for_all_its_nodes_with_what_else_is_wrong(folder):
    text = NETWORK.replace("port: 30303", "port: 0").replace("containerPort: 8080", "containerPort: 99999")
    told = refused(folder, text)
    assert told.count("parts/node.yaml:11") == 1
    assert "network.yaml:19 spec.containers[0].ports[0].containerPort" in told


def test_a_shared_file_that_is_large_is_not_read_whole(folder):
    (folder / "genesis.json").write_bytes(b"x" * (1 << 22))
    assert "sharedFiles[0].file: larger than" in refused(folder, NETWORK)


@pytest.mark.parametrize(
    ("named", "called"),
    [
        ("[node]", {"node-1": ["node-2"], "node-2": ["node-1"]}),
        ("[web, node]", {"node-1": ["web", "node-2"], "node-2": ["web", "node-1"]}),
        ("[node-1, node, web]", {"node-1": ["node-2", "web"], "node-2": ["node-1", "web"]}),
        ("[elsewhere]", {"node-1": ["elsewhere"], "node-2": ["elsewhere"]}),
    ],
)
def test_nodes_of_one_template_name_all_others_alike(folder, named, called):
    template = folder / "parts/node.yaml"
    template.write_text(f"{TEMPLATE}  network: {{nodes: {named}}}\n")
    loaded = load_network(write(folder, NETWORK), same)
    found = {name: pod.manifest.spec.network.nodes for name, pod in loaded.pods.items()}
    assert found == {**called, "web": []}


def test_who_is_called_may_be_no_list_and_is_then_refused_with_its_line(folder):
    (folder / "parts/node.yaml").write_text(f"{TEMPLATE}  network: {{nodes: 7}}\n")
    assert "node.yaml:17" in refused(folder, NETWORK)
