# SPDX-License-Identifier: Apache-2.0
"""What a container says of itself, on a real cluster: probes, its end, and what it knows of its replica."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

from tests.chaos.observer import unix
from tests.live.clients import web
from tests.live.clients.publisher import Deployed, Json, Publisher
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.run_times import RunTimes, is_over
from tests.live.observers.waiting import until
from trustedpods.protocol.errors import ExitCode

pytestmark = pytest.mark.live

ANSWER_S = 12
"""A request takes so long: longer than a new version needs to take over."""

LEAVE_S = 4
"""What is done before the end takes so long."""

SERVER = f"""
mkdir -p /tmp/srv/cgi-bin
echo page > /tmp/srv/index.html
cat > /tmp/srv/cgi-bin/slow <<'END'
#!/bin/sh
touch /tmp/asked
sleep {ANSWER_S}
printf 'Content-Type: text/plain\\r\\n\\r\\nwhole'
END
cat > /tmp/srv/cgi-bin/asked <<'END'
#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
test -e /tmp/asked && printf 'in flight'
END
cat > /tmp/srv/cgi-bin/env <<'END'
#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
env
echo "UID=$(id -u) GID=$(id -g)"
END
chmod +x /tmp/srv/cgi-bin/*
touch /tmp/ready
trap 'kill $!; exit 0' TERM
httpd -f -p 8080 -h /tmp/srv &
wait $!
"""


def serving(version: str) -> dict[str, object]:
    """A container that says everything that it may."""
    return {
        "command": ["/bin/sh", "-c", SERVER],
        "env": [
            {"name": "VERSION", "value": version},
            {"name": "REPLICA", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        ],
        "envFrom": [{"secretRef": {"name": "login"}, "prefix": "FILE_"}],
        "securityContext": {"runAsUser": 12345, "runAsGroup": 12346},
        "startupProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1, "failureThreshold": 60},
        "readinessProbe": {
            "exec": {"command": ["test", "-e", "/tmp/ready"]},
            "periodSeconds": 5,
            "timeoutSeconds": 10,
        },
        "livenessProbe": {
            "httpGet": {"port": 8080, "httpHeaders": [{"name": "X-Probe", "value": "1"}]},
            "timeoutSeconds": 10,
        },
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(LEAVE_S)]}}},
    }


def says_all(spec: Json, version: str) -> None:
    """The only container of *spec* says everything, in this version."""
    spec["containers"][0] |= serving(version)
    spec["volumes"] = [{"name": "login", "secret": {"files": {"htpasswd": "htpasswd"}}}]
    spec["terminationGracePeriodSeconds"] = 60
    spec["scale"] = {"min": 1, "max": 1}


def ended_at(pod: Json) -> int:
    """When its container had ended, in Unix seconds."""
    [status] = pod["status"]["containerStatuses"]
    return unix(status["state"]["terminated"]["finishedAt"])


def variables(pod: Deployed) -> dict[str, str]:
    """What the server's programs find in their environment."""
    lines = web.get(pod.url, "/cgi-bin/env").text.splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def test_a_request_outlives_its_version_and_that_one_leaves_as_it_says(
    market: LiveLocalnet, publisher: Publisher
) -> None:
    """Ready by a command, started by a connection, alive by a request; preStop and the grace hold."""
    name = unique("says")
    file = publisher.manifest("hello", name, lambda spec: says_all(spec, "one"))
    with RunTimes(market) as times, ThreadPoolExecutor(1) as pool:
        pod = publisher.deploy(file)
        [old] = times.seen(pod.namespace)
        known = variables(pod)
        assert known["VERSION"] == "one"
        assert known["REPLICA"] == times.last[old]["metadata"]["name"]
        assert known["ADDRESS"] == times.last[old]["status"]["podIP"]
        assert known["UID"] == "12345 GID=12346"
        assert known["TRUSTEDPODS_URLS"].startswith(pod.url.rstrip("/"))
        assert known["FILE_htpasswd"].startswith("guest:")
        slow = pool.submit(web.get, pod.url, "/cgi-bin/slow")
        until("the slow one is in flight", lambda: "in flight" in web.get(pod.url, "/cgi-bin/asked").text)
        publisher.manifest("hello", name, lambda spec: says_all(spec, "two"))
        publisher.deploy(file)
        answer = slow.result()
        assert (answer.status, answer.text) == (200, "whole")
        assert variables(pod)["VERSION"] == "two"
        until("the old one is over", lambda: is_over(times.last[old]))
    assert ended_at(times.last[old]) - times.asked_at(old) >= LEAVE_S - 1, "times are whole seconds"


def test_a_liveness_probe_over_grpc_ends_what_does_not_speak_it(publisher: Publisher) -> None:
    """The kubelet asks it: a page is no gRPC, so the container ends, and the deploy says so."""

    def change(spec: Json) -> None:
        spec["containers"][0] |= {
            "readinessProbe": {"exec": {"command": ["false"]}, "periodSeconds": 5},
            "livenessProbe": {"grpc": {"port": 8080}, "periodSeconds": 1, "failureThreshold": 1},
        }

    file = publisher.manifest("hello", unique("mute"), change)
    said = publisher.run("deploy", file.name, code=ExitCode.REFUSED).json
    assert "container hello ended" in said["error"]["what"]
    assert said["money"]["state"] == "released"


KEEPS = """
cat /data/node/key >> /data/seen
echo mine > /data/node/key
trap 'sleep 2; wget -qO /data/last http://beside:9000/; kill $!; exit 0' TERM
/bin/serve &
wait
"""
"""What is in the volume at each start is kept, and what came with the seed is written over. At the end the
sidecar is still asked, two seconds after the order to end."""

BESIDE = """
mkdir -p /tmp/srv
echo still there > /tmp/srv/index.html
trap 'exit 0' TERM
httpd -f -p 9000 -h /tmp/srv &
wait
"""
"""Ends as soon as it is told to."""


def seeded(publisher: Publisher, spec: Json) -> None:
    """Two replicas with names, each with a folder of its own that its volume begins with."""
    for ordinal in range(2):
        folder = publisher.folder / f"first-{ordinal}" / "node"
        folder.mkdir(parents=True)
        (folder / "key").write_text(f"key {ordinal}\n")
    spec |= {"workload": "stateful", "replicas": 2, "podManagement": "Parallel"}
    del spec["scale"]
    [container] = spec["containers"]
    container["volumeMounts"] = [
        {"name": "data", "mountPath": "/data"},
        {"name": "login", "mountPath": "/login"},
    ]
    container["command"] = ["sh", "-c", KEEPS]
    reference = {"secretKeyRef": {"name": "login", "key": "password"}}
    spec["initContainers"] = [
        {
            "name": "beside",
            "image": container["image"],
            "restartPolicy": "Always",
            "command": ["sh", "-c", BESIDE],
            "env": [{"name": "PASSWORD", "valueFrom": reference}],
            "startupProbe": {"tcpSocket": {"port": 9000}, "periodSeconds": 1, "failureThreshold": 60},
        }
    ]
    spec["volumes"] = [
        {"name": "data", "persistent": {"size": "16Mi"}, "seed": {"directory": "first-{ordinal}"}},
        {"name": "login", "secret": {"generate": {"password": {"length": 24}}}},
    ]


def output(market: LiveLocalnet, pod: Deployed, replica: str, *command: str, container: str = "hello") -> str:
    """What a command in a replica says."""
    return market.kubectl("-n", pod.namespace, "exec", replica, "-c", container, "--", *command)


def test_a_replica_with_a_seed_a_generated_password_and_a_sidecar(
    market: LiveLocalnet, publisher: Publisher
) -> None:
    """Each volume begins with the files of its own number, and is never seeded again: not for a replica that
    was deleted, not by an update. The password is one in all containers, and stays, also over an update that
    wants another one and fails. The sidecar ends last.
    """
    file = publisher.manifest("hello", unique("seeded"), lambda spec: seeded(publisher, spec))
    pod = publisher.deploy(file)
    for ordinal in range(2):
        assert seen(market, pod, f"pod-{ordinal}") == f"key {ordinal}\n"
    rights = output(market, pod, "pod-0", "stat", "-c", "%a %u", "/data/node", "/data/node/key")
    assert rights.split() == ["700", "65532", "600", "65532"]
    uid = market.kubectl("-n", pod.namespace, "get", "pod", "pod-1", "-o", "jsonpath={.metadata.uid}")
    market.kubectl("-n", pod.namespace, "delete", "pod", "pod-1", "--wait=false")
    until("the replica is back", lambda: _runs_anew(market, pod, uid))
    until("it went on", lambda: seen(market, pod, "pod-1") == "key 1\nmine\n")
    assert output(market, pod, "pod-1", "cat", "/data/last") == "still there\n"
    made = password(market, pod, "pod-0")
    assert len(made) == 24
    assert password(market, pod, "pod-1") == made
    tree = yaml.safe_load(file.read_text())
    tree["spec"]["containers"][0]["env"] = [{"name": "VERSION", "value": "two"}]
    file.write_text(yaml.safe_dump(tree))
    publisher.deploy(file)
    assert seen(market, pod, "pod-0") == "key 0\nmine\n"
    assert password(market, pod, "pod-0") == made
    tree["spec"]["volumes"][1]["secret"]["generate"]["password"]["type"] = "hex"
    tree["spec"]["containers"][0]["command"] = ["no-such-thing"]
    file.write_text(yaml.safe_dump(tree))
    publisher.run("deploy", file.name, code=ExitCode.REFUSED)
    until("the version before is back", lambda: _phase(publisher, pod) == "serving")
    assert [password(market, pod, f"pod-{ordinal}") for ordinal in range(2)] == [made, made]
    until("nothing is set aside any more", lambda: _secrets(market, pod) == {"login", "seed.data"})


def _phase(publisher: Publisher, pod: Deployed) -> str:
    return str(publisher.run("status", pod.name).json["phase"])


def _secrets(market: LiveLocalnet, pod: Deployed) -> set[str]:
    """Names of those that the pod has in the cluster, but for the one by which its images are pulled."""
    said = market.kubectl("-n", pod.namespace, "get", "secrets", "-o", "jsonpath={.items[*].metadata.name}")
    return set(said.split()) - {"images.pull"}


def seen(market: LiveLocalnet, pod: Deployed, replica: str) -> str:
    """What a replica has found in its volume, at each of its starts."""
    return output(market, pod, replica, "cat", "/data/seen")


def password(market: LiveLocalnet, pod: Deployed, replica: str) -> str:
    """What was generated, as both containers of a replica have it: one as a file, one as a variable."""
    file = output(market, pod, replica, "cat", "/login/password")
    variable = output(market, pod, replica, "sh", "-c", 'printf %s "$PASSWORD"', container="beside")
    assert file == variable
    return file


def _runs_anew(market: LiveLocalnet, pod: Deployed, uid: str) -> bool:
    """Whether `pod-1` is another one than that of *uid*, and runs."""
    path = "jsonpath={.metadata.uid} {.status.containerStatuses[0].state.running.startedAt}"
    said = market.kubectl(
        "-n", pod.namespace, "get", "pod", "pod-1", "--ignore-not-found", "-o", path
    ).split()
    return len(said) == 2 and said[0] != uid
