# SPDX-License-Identifier: Apache-2.0
"""Files of other formats: each field is converted, or refused in one line with its place."""

import json
from pathlib import Path

import pytest
import yaml

from tests.paths import ROOT
from trustedpods.manifests.convert.file import convert, converts
from trustedpods.manifests.documents import first_document, plain, written
from trustedpods.manifests.parse import load_made
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.references import is_reference

FOLDER = ROOT / "tests" / "manifests" / "convert"
COMPOSE, GO_PODS = FOLDER / "compose", FOLDER / "go_pods"

REFUSED = {
    "compose/powers.yaml": [
        "5 services.vpn.privileged", "6 services.vpn.cap_add", "7 services.vpn.devices",
        "8 services.vpn.network_mode", "9 services.vpn.pid", "10 services.vpn.sysctls",
        "12 services.vpn.volumes[0]", "13 services.vpn.volumes[1]", "14 services.vpn.ports[0]",
        "16 services.vpn.restart", "17 services.vpn.deploy.placement",
    ],
    "compose/foreign.yaml": [
        "2 include", "5 services.web.extends", "6 services.web.image", "9 services.web.volumes[1]",
        "12 services.second.ports[0]", "14 volumes.shared.external", "16 secrets.token",
    ],
    "go_pods/attestation-hello.yaml": [
        "5 containers[0].image.verificationDetails", "8 verificationSettings",
    ],
    "go_pods/autoscaler.yaml": ["6 containers[0].ports[1].hostTcpPort", "8 keyPair"],
    "go_pods/guestbook.yaml": ["11 containers[2].ports[0]"],
    "go_pods/scylla-nebula.yaml": [
        "8 containers[0].resourceRequests[0].resource", "11 containers[1].capabilities",
        "12 containers[1].ports[0].hostUdpPort", "15 volumes[0].accessMode",
        "16 volumes[1].secret.contentsString",
    ],
}  # fmt: skip
"""Places that are refused, by file; the other files convert."""

FILES = sorted(
    str(path.relative_to(FOLDER)) for folder in (COMPOSE, GO_PODS) for path in folder.glob("*.yaml")
)


def spec_of(path):
    return convert(FOLDER / path).tree["spec"]


def test_all_shapes_are_there():
    assert len([name for name in FILES if name.startswith("compose/")]) == 10
    assert len([name for name in FILES if name.startswith("go_pods/")]) == 8
    assert REFUSED.keys() < set(FILES)


@pytest.mark.parametrize("name", [name for name in FILES if name not in REFUSED])
def test_what_converts_is_a_sound_manifest_and_its_images_are_told(name):
    made = convert(FOLDER / name)
    text = written(made.tree)
    path = made.source.parent / "pod.yaml"
    tree, _ = first_document(text, path)
    manifest = load_made(path, tree, plain(tree, path)).manifest
    for container in manifest.spec.all_containers:
        kind, _, file = container.image.partition(":")
        told = any(file in note for note in made.notes)
        assert told if kind == "docker-archive" else kind == "dockerfile" or is_reference(container.image)


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_convert_is_one_line_for_each_field(name):
    with pytest.raises(BadInput) as caught:
        convert(FOLDER / name)
    lines = str(caught.value).splitlines()
    assert [line.partition(": ")[0] for line in lines] == [f"{FOLDER / name}:{at}" for at in REFUSED[name]]


def test_one_service():
    assert spec_of("compose/web.yaml") == {
        "containers": [{"name": "web", "image": "nginx:1.27", "ports": [{"containerPort": 8080}]}],
        "services": [{"name": "web", "expose": "http", "ports": [{"port": 80, "targetPort": 8080}]}],
        "scale": {"min": 0, "max": 1},
    }


def test_a_database_with_its_secret_and_volume():
    spec = spec_of("compose/database.yaml")
    app, db = spec["containers"]
    assert {"name": "COST", "value": "5$"} in app["env"]
    assert db["securityContext"] == {"runAsUser": 999, "runAsGroup": 999}
    assert db["readinessProbe"] == {
        "exec": {"command": ["/bin/sh", "-c", "pg_isready -U notes"]},
        "periodSeconds": 10,
        "timeoutSeconds": 5,
        "initialDelaySeconds": 90,
        "failureThreshold": 5,
    }
    assert {"name": "data", "persistent": {"size": "1Gi"}} in spec["volumes"]
    assert db["volumeMounts"][1]["mountPath"] == "/run/secrets/db-password"
    assert [service["name"] for service in spec["services"]] == ["web"]  # the database is for the app alone


def test_commands_are_split_and_called_as_kubernetes_calls_them():
    (site,) = spec_of("compose/built.yaml")["containers"]
    assert site["command"] == ["/srv/run", "--quiet"]
    worker = spec_of("compose/worker.yaml")["containers"][0]
    assert worker["args"] == ["bin/app", "work", "--queue", "high priority"]
    assert {"name": "NAME", "value": "a b"} in worker["env"]


def test_a_service_that_ends_first_is_an_init_container():
    spec = spec_of("compose/worker.yaml")
    assert [one["name"] for one in spec["initContainers"]] == ["migrate"]
    assert (spec["workload"], spec["replicas"]) == ("replicated", 1)


def test_ports_of_other_protocols():
    spec = spec_of("compose/protocols.yaml")
    assert [service["expose"] for service in spec["services"]] == ["tcp", "udp"]
    assert spec["scale"]["min"] == 1  # nothing of UDP wakes a pod


def test_a_port_of_this_machine_alone_is_not_exposed():
    made = convert(COMPOSE / "built.yaml")
    assert [one["ports"][0]["targetPort"] for one in made.tree["spec"]["services"]] == [8000]
    assert any("this machine alone" in note for note in made.notes)


def test_the_go_implementations_words():
    spec = spec_of("go_pods/redmine.yaml")
    redmine = spec["containers"][0]
    assert redmine["command"] == ["/docker-entrypoint.sh"]
    assert redmine["args"] == ["rails", "server", "-b", "0.0.0.0"]
    assert redmine["volumeMounts"][0] == {
        "name": "password",
        "mountPath": "/run/secrets/db-password",
        "readOnly": True,
        "subPath": "data",
    }
    assert spec_of("go_pods/hello-world.yaml")["scale"] == {"min": 0, "max": 3, "concurrency": 20}


def put(tmp_path, text, name="shop.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return path


def service(tmp_path, text):
    return convert(put(tmp_path, f"services:\n  web: {{image: x, {text}}}\n"))


@pytest.mark.parametrize(
    ("field", "made"),
    [
        ("environment: {A: $$(B)}", {"env": [{"name": "A", "value": "$$(B)"}]}),
        ("environment: {A: 1.5, B: true}", {
            "env": [{"name": "A", "value": "1.5"}, {"name": "B", "value": "true"}]
        }),
        ("mem_limit: 1.5g", {"resources": {"limits": {"memory": "1536Mi"}}}),
        ("mem_limit: 1", {"resources": {"limits": {"memory": "1Mi"}}}),
        ("cpus: 0.0001", {"resources": {"limits": {"cpu": "1m"}}}),
        ("user: www-data", {"securityContext": {"runAsUser": "www-data"}}),
        ("restart: always", {}),
        ("privileged: false", {}),
        ("healthcheck: {disable: true}", {}),
        ("x-more: [1]", {}),
    ],
)  # fmt: skip
def test_a_field(tmp_path, field, made):
    (container,) = service(tmp_path, field).tree["spec"]["containers"]
    assert container == {"name": "web", "image": "x"} | made


@pytest.mark.parametrize(
    "field",
    [
        "nonsense: 1", "mem_limit: much", "cpus: many", "command: 'a \"b'", "environment: {A: '${B}'}",
        "environment: {A: [1]}", "environment: 7", "ports: 8080", "ports: ['0']", "ports: ['70000']",
        "ports: [{target: x}]", "volumes: ['a:b:c:d']", "volumes: ['./none:/x']", "volumes: ['a:relative']",
        "volumes: [{type: npipe, target: /x}]", "tmpfs: ['/x:size=y']", "secrets: [none]",
        "env_file: none.env", "healthcheck: {test: [NOTHING, x]}",
        "healthcheck: {test: x, interval: soon}", "user: 'a:staff'", f"user: '0:{'9' * 5000}'",
        "deploy: {replicas: 0}", "deploy: {mode: global}", "depends_on: [nobody]", "gpus: all",
        "extra_hosts: ['a:host-gateway']", "stop_signal: SIGINT", "platform: linux/arm64",
    ],
)  # fmt: skip
def test_a_field_that_is_refused(tmp_path, field):
    with pytest.raises(BadInput) as caught:
        service(tmp_path, field)
    assert f"shop.yaml:2 services.web.{field.partition(':')[0]}" in str(caught.value)


def test_names_come_from_the_file_the_folder_or_the_person(tmp_path):
    (tmp_path / "My_Shop").mkdir()
    text = "services: {web: {image: x}}"
    assert convert(put(tmp_path, text)).tree["metadata"] == {"name": "shop"}
    assert convert(put(tmp_path / "My_Shop", text, "compose.yaml")).tree["metadata"] == {"name": "my-shop"}
    assert convert(put(tmp_path, text), "other").tree["metadata"] == {"name": "other"}
    assert convert(put(tmp_path, "name: own\n" + text)).tree["metadata"] == {"name": "own"}


def test_json_is_taken_as_the_wire_form_has_it(tmp_path):
    pod = yaml.safe_load((GO_PODS / "hello-world.yaml").read_text())
    assert (
        convert(put(tmp_path, json.dumps(pod), "hello-world.json")).tree
        == convert(GO_PODS / "hello-world.yaml").tree
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("apiVersion: trustedpods/v1\nkind: Pod\n", "this is a manifest already"),
        ("apiVersion: v1\nkind: Pod\n", "this is a Kubernetes Pod"),
        ("services: {web: {image: x}}\ndeployment: {}\n", "SDL"),
        ("- a\n", "neither a Compose file nor"),
        ("services: {web: {image: x}}\n---\nservices: {}\n", "a second document"),
        ("services: {}\n", "no service is left"),
        ("services: {web: {}}\n", "neither `image` nor `build`"),
        ("services: {web: 7}\n", "names with values"),
        ("services: [web]\n", "this is a Compose file"),
        ("a: [\n", "not valid YAML"),
    ],
)
def test_other_files(tmp_path, text, told):
    with pytest.raises(BadInput, match=told):
        convert(put(tmp_path, text))


def test_a_file_of_variables_that_is_too_long(tmp_path):
    (tmp_path / "long.env").write_text("A=" + "x" * 70_000)
    with pytest.raises(BadInput, match="larger than 64 KiB"):
        service(tmp_path, "env_file: long.env")


def test_a_file_of_variables_that_is_named_often(tmp_path):
    (tmp_path / "long.env").write_text("A=" + "x" * 60_000)
    with pytest.raises(BadInput, match="as often as it is named"):
        service(tmp_path, f"env_file: [{', '.join(['long.env'] * 20)}]")


def test_what_it_takes_is_told_by_its_keys():
    assert converts({"services": {}})
    assert not converts({"services": {}, "apiVersion": "v1"})
    assert not converts({"containers": [{"image": "text"}]})
    assert not converts(None)
    assert Path(FOLDER).is_dir()


OUT = {
    "env_file": "services: {web: {image: x, env_file: %s}}",
    "bind": "services: {web: {image: x, volumes: ['%s:/x:ro']}}",
    "secret": "services: {web: {image: x, secrets: [s]}}\nsecrets: {s: {file: %s}}",
    "config": "services: {web: {image: x, configs: [s]}}\nconfigs: {s: {file: %s}}",
    "go": "containers: [{name: a, image: {url: x}, volumes: [{name: s, mountPath: /x}]}]\n"
    "volumes: [{name: s, type: VOLUME_SECRET, secret: {file: %s}}]",
}


@pytest.fixture
def inside(tmp_path):
    """A folder with a file and with links, beside a file that is none of its own."""
    (tmp_path / "key").write_text("A=1")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "key").write_text("A=1")
    (folder / "out").symlink_to(tmp_path / "key")
    (folder / "up").symlink_to(tmp_path)
    (folder / "round").symlink_to(folder / "round")
    (folder / "near").symlink_to(folder / "key")
    return folder


@pytest.mark.parametrize("text", OUT.values(), ids=OUT)
@pytest.mark.parametrize("name", ["./../key", "./out", "./up/key", "{}/key"])
def test_what_lies_outside_the_folder_is_neither_read_nor_sent(inside, text, name):
    with pytest.raises(BadInput, match="outside the folder: copy it beside"):
        convert(put(inside, text % name.format(inside.parent)))


@pytest.mark.parametrize("text", OUT.values(), ids=OUT)
@pytest.mark.parametrize("name", ["./key", "./near", "./../folder/key"])
def test_what_lies_in_the_folder_is_told(inside, text, name):
    made = convert(put(inside, text % name))
    assert any(name.removeprefix("./") in note for note in made.notes)


def test_a_link_that_goes_round_is_refused(inside):
    with pytest.raises(BadInput, match="round"):
        convert(put(inside, OUT["env_file"] % "./round"))


def test_values_of_other_files_make_the_manifest_private(inside):
    assert convert(put(inside, OUT["env_file"] % "./key")).private
    assert not convert(put(inside, OUT["bind"] % "./key")).private
