# SPDX-License-Identifier: Apache-2.0
"""One example of each thing that can be wrong with a manifest whose form is right, and what is said of it.

Not in the table: forms (types, unknown fields) and words of other formats, which have tables of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.manifests.sound import FILES, SOUND, changed

_A, _B = ({"name": name, "mountPath": "/x"} for name in ("data", "scratch"))
_WEB = {"name": "web", "expose": "http", "ports": [{"port": 80, "targetPort": 8080}]}
_TCP = {"name": "db", "expose": "tcp", "ports": [{"port": 5432}]}
_UDP = {"name": "db", "expose": "udp", "ports": [{"port": 5432, "protocol": "UDP"}]}
_KEY = "spec.containers.0.env.1.valueFrom.secretKeyRef"
_ENV = "spec.containers.0.env.0.name"
_MOUNT = "spec.containers.0.volumeMounts.2"
_CPU = "spec.containers.0.resources.limits.cpu"
_MEMORY = "spec.containers.0.resources.limits.memory"
_RULE = "spec.network.egress.0"
_BLOCK = f"{_RULE}.to.0.ipBlock"
_TO = [{"ipBlock": {"cidr": "0.0.0.0/0"}}]


@dataclass(frozen=True)
class Wrong:
    """A manifest, what is said of it, and the files of its secret."""

    tree: dict[str, Any]
    words: str
    files: Mapping[str, bytes] = field(default_factory=lambda: FILES)


def wrong(path: str, value: object, words: str, **files: bytes) -> Wrong:
    """SOUND with *value* at *path*."""
    return Wrong(changed(path, value), words, FILES | files)


WRONG = {
    "container twice": wrong("spec.containers.1.name", "app", "the name 'app' is used twice"),
    "init container twice": wrong(
        "spec.initContainers", [{"name": "first", "image": "x"}] * 2, "the name 'first' is used twice"
    ),
    "init container as container": wrong("spec.initContainers.0.name", "app", "the name 'app' is used twice"),
    "volume twice": wrong("spec.volumes.2.name", "data", "the name 'data' is used twice"),
    "service twice": wrong("spec.services.1.name", "web", "the name 'web' is used twice"),
    "no volume": wrong(f"{_MOUNT}.name", "dota", "no volume is named 'dota'"),
    "one path twice": wrong("spec.containers.0.volumeMounts", [_A, _B], "mounted at one path"),
    "one path in two spellings": wrong(
        "spec.containers.0.volumeMounts", [_A, {**_B, "mountPath": "//x/./"}], "mounted at one path"
    ),
    "over the root": wrong(f"{_MOUNT}.mountPath", "/", "no container starts with a volume at /"),
    "over /proc": wrong(f"{_MOUNT}.mountPath", "/proc/x", "no container starts with a volume at /proc/x"),
    "no such file of a secret": wrong(
        "spec.containers.0.volumeMounts.1.subPath", "tokne", "secret 'keys' has no file 'tokne'"
    ),
    "up from a volume": wrong(f"{_MOUNT}.subPath", "..", "'..' cannot stand here"),
    "up from the root": wrong(f"{_MOUNT}.mountPath", "/a/../b", "cannot stand here"),
    "variable of no secret": wrong(f"{_KEY}.name", "data", "no secret volume is named 'data'"),
    "variable of no key": wrong(f"{_KEY}.key", "tokne", "secret 'keys' has no file 'tokne'"),
    "variables of no secret": wrong(
        "spec.containers.0.envFrom.0.secretRef.name", "data", "no secret volume is named 'data'"
    ),
    "variables without names": wrong(
        "spec.volumes.0.secret.files",
        {"token": "t", "tls.crt": "c", "tls.key": "k", "a" * 251: "a"},
        f"the file {'a' * 251!r} makes no name of a variable",
    ),
    "number of no number": wrong(
        "spec.containers.0.env.2.valueFrom.fieldRef.fieldPath",
        "metadata.labels['apps.kubernetes.io/pod-index']",
        "only replicas of `workload: stateful` have a number",
    ),
    "field of the node": wrong(
        "spec.containers.0.env.2.valueFrom.fieldRef.fieldPath", "spec.nodeName", "Input should be"
    ),
    "variable from two places": wrong(
        "spec.containers.0.env.1.valueFrom.fieldRef",
        {"fieldPath": "metadata.name"},
        "give either secretKeyRef or fieldRef",
    ),
    "variable too long": wrong(
        "metadata.name", "shop", "too long for an environment variable", token=b"x" * 128 * 1024
    ),
    "too many secrets": Wrong(
        changed("spec.containers.0.env", []),
        "all secrets are larger than 1024 KiB",
        FILES | {"token": b"x" * 1024 * 1024},
    ),
    "variable with NUL": wrong("metadata.name", "shop", "the file holds a NUL", token=b"a\0b"),
    "variable not UTF-8": wrong("metadata.name", "shop", "the file is not UTF-8", token=b"\xff"),
    "variable in an init container": Wrong(
        changed("spec.initContainers.0.env", changed("x", 0)["spec"]["containers"][0]["env"]),
        "spec.initContainers[0].env[1].valueFrom.secretKeyRef.key: the file holds a NUL",
        FILES | {"token": b"\0"},
    ),
    "port that nobody lists": wrong(
        "spec.services.0.ports.0.targetPort", 8081, "no container lists port 8081"
    ),
    "host twice": wrong("spec.services", [{**_WEB, "hosts": ["a.example"] * 2}], "a.example is listed twice"),
    "nothing wakes it": wrong(
        "spec.services", [], "give it a service with expose: http or tcp, or set scale.min"
    ),
    "too many hosts": wrong(
        "spec.services",
        [
            {**_WEB, "name": name, "hosts": [f"{name}{number}.example" for number in range(9)]}
            for name in ("x", "y")
        ],
        "18 hosts of your own; a pod has up to 16",
    ),
    "too many routes": wrong(
        "spec.services",
        [{**_WEB, "hosts": ["a.example", "b.example"], "paths": [f"/{number}" for number in range(11)]}],
        "make 33 routes",
    ),
    "too long a route": wrong(
        "spec.services",
        [{**_WEB, "hosts": [f"{'a.' * 100}example"], "paths": [("/" + "b" * 64) * 3]}],
        "host and path have 402 characters",
    ),
    "one path to two": wrong(
        "spec.services",
        [{**_WEB, "name": name, "paths": ["/a"]} for name in ("x", "y")],
        "the path /a leads to two services",
    ),
    "certificate without hosts": wrong("spec.services.0.hosts", [], "list them in `hosts`"),
    "certificate of no secret": wrong(
        "spec.services.0.tls.secretName", "data", "no secret volume has this name"
    ),
    "certificate without a key": wrong(
        "spec.volumes.0.secret.files", {"token": "t", "tls.crt": "c"}, "the secret has no file 'tls.key'"
    ),
    "replicas of one disk": wrong("spec.scale.max", 2, "serves one replica at a time"),
    "port names": wrong(
        "spec.services.0.ports.0.targetPort", "https", "no container port is named 'https' (there is: http)"
    ),
    "port name of a probe": wrong(
        "spec.containers.0.readinessProbe.httpGet.port", "web", "no container port is named 'web'"
    ),
    "port name twice": wrong(
        "spec.containers.1.ports",
        [{"name": "http", "containerPort": 1}],
        "two container ports are named 'http'",
    ),
    "variable of two sources": wrong("spec.containers.0.env.1.value", "x", "give either value or valueFrom"),
    "SCTP": wrong("spec.containers.0.ports.0.protocol", "SCTP", "protocol SCTP: not supported yet"),
    "port of another protocol": wrong(
        "spec.services.1",
        {**_UDP, "expose": "none"},
        "no container lists port 5432/UDP (there is: 5432, 8080)",
    ),
    "requests": wrong("spec.containers.0.resources.requests", {"cpu": "50m"}, "requests differ from limits"),
    "two probes": wrong(
        "spec.containers.0.readinessProbe.tcpSocket",
        {"port": 1},
        "give exactly one of httpGet, tcpSocket, exec",
    ),
    "nothing left to end in": wrong(
        "spec.terminationGracePeriodSeconds", 5, "set terminationGracePeriodSeconds above 5"
    ),
    "two things before the end": wrong(
        "spec.containers.0.lifecycle.preStop.httpGet", {"port": 1}, "give exactly one of exec, httpGet, sleep"
    ),
    "lifecycle before the start": wrong(
        "spec.initContainers.0.lifecycle", {"preStop": {"sleep": {"seconds": 1}}}, "has no lifecycle"
    ),
    "group alone": wrong(
        "spec.containers.0.securityContext", {"runAsGroup": 5}, "runAsGroup needs runAsUser"
    ),
    "root": wrong("spec.containers.0.securityContext", {"runAsUser": 0}, "greater than or equal to 1"),
    "command too often": wrong(
        "spec.containers.0.livenessProbe.periodSeconds", 4, "a command is run every 5 s at most"
    ),
    "successes of liveness": wrong(
        "spec.containers.0.startupProbe.successThreshold", 2, "only a readinessProbe has a successThreshold"
    ),
    "header with a dot": wrong(
        "spec.containers.1.livenessProbe.httpGet.httpHeaders.0.name", "x.y", "as Kubernetes takes it"
    ),
    "header with a line end": wrong(
        "spec.containers.1.livenessProbe.httpGet.httpHeaders.0.value", "a\r\nb", "one line of plain ASCII"
    ),
    "csi": wrong("spec.volumes.2.csi", {}, "volume kind csi: not supported yet"),
    "two kinds of volume": wrong("spec.volumes.2.persistent", {"size": "1Gi"}, "give exactly one of"),
    "scale": wrong("spec.scale.min", 2, "min 2 is above max 1"),
    "scale of a fixed number": wrong("spec.workload", "stateful", "leave scale.min and max out"),
    "replicas that sleep": wrong("spec.replicas", 2, "replicas needs workload: replicated or stateful"),
    "strategy of http": wrong("spec.strategy", "Recreate", "strategy needs workload: replicated"),
    "order of http": wrong("spec.podManagement", "Parallel", "podManagement needs workload: stateful"),
    "fixed number that sleeps": wrong(
        "spec",
        {**SOUND["spec"], "workload": "replicated", "scale": {"idleAfter": "5m"}},
        "leave scale.idleAfter out",
    ),
    "probe before the start": wrong(
        "spec.initContainers.0.readinessProbe", {"tcpSocket": {"port": 1}}, "an init container has no probes"
    ),
    "expose": wrong("spec.services.1.expose", "tunnel", "expose tunnel: not supported yet"),
    "sleeps behind a node's port": wrong(
        "spec.services.1.expose", "nodePort", "what comes for 'db' wakes no pod (expose: nodePort)"
    ),
    "udp over TCP": wrong("spec.services.1.expose", "udp", "says `protocol: UDP` at its port"),
    "UDP through the facade": wrong(
        "spec.services.1.ports.0.protocol", "UDP", "exposed as tcp carries no UDP: write `expose: udp`"
    ),
    "words of UDP": wrong(
        "spec.services.1",
        {**_UDP, "ports": [{"port": 53, "protocol": "UDP", "appProtocol": "kubernetes.io/ws"}]},
        "a port of UDP has no appProtocol",
    ),
    "limits of nodes": wrong(
        "spec.services.1", {**_UDP, "limits": {"connections": 1}}, "limits need the facade"
    ),
    "affinity of two": wrong(
        "spec.services.0.sessionAffinity",
        {"header": "x-a", "cookie": "b"},
        "write clientIP, {header: NAME} or {cookie: NAME}",
    ),
    "header of tcp": wrong(
        "spec.services.1.sessionAffinity", {"header": "x-a"}, "only requests of expose: http have headers"
    ),
    "one port twice": wrong(
        "spec.services.1",
        {"name": "db", "ports": [{"port": 5432}, {"port": 5432, "targetPort": 8080}]},
        "port 5432 (TCP) is listed twice",
    ),
    "service begins with a digit": wrong("spec.services.1.name", "5db", "begins with a letter"),
    "service called as a replica": wrong("spec.services.1.name", "pod-0", "'pod-0' is kept for replicas"),
    "two ports exposed": wrong(
        "spec.services.1.ports", [{"port": 5432}, {"port": 8080}], "exposed as tcp has exactly one port"
    ),
    "hosts of tcp": wrong("spec.services.1.hosts", ["a.example"], "hosts needs expose: http"),
    "protocol of tcp": wrong(
        "spec.services.1.ports.0.appProtocol", "kubernetes.io/h2c", "exposed as tcp has no appProtocol"
    ),
    "IPv6": wrong(f"{_BLOCK}.cidr", "2001:db8::/32", "2001:db8::/32: IPv6: not supported yet"),
    "no network": wrong(f"{_BLOCK}.cidr", "example.org", "example.org is not an IPv4 network"),
    "exception outside": wrong(f"{_BLOCK}.except", ["198.51.100.0/24"], "is not inside 203.0.113.0/24"),
    "exception of all": wrong(f"{_BLOCK}.except", ["203.0.113.0/24"], "takes away all of 203.0.113.0/24"),
    "exception in dots": wrong(f"{_BLOCK}.except", ["203.0.113.09"], "is not an IPv4 network"),
    "peers by name": wrong(f"{_RULE}.to", [{"podSelector": {}}], "podSelector in egress: not supported yet"),
    "no peer": wrong(f"{_RULE}.to", [{}], "give an ipBlock, a host or a pod"),
    "two peers in one": wrong(f"{_RULE}.to.0.host", "api.example.org", "give one of ipBlock, host and pod"),
    "pod and block in one": wrong(f"{_RULE}.to.0.pod", "nodes", "give one of ipBlock, host and pod"),
    "pod of a wrong name": wrong(f"{_RULE}.to", [{"pod": "Nodes"}], "'Nodes' cannot stand here"),
    "own pod as a host": wrong(f"{_RULE}.to", [{"host": "rpc.nodes.internal"}], "write `pod: NAME`"),
    "wildcard": wrong(
        f"{_RULE}.to", [{"host": "*.example.org"}], "'*.example.org' cannot stand here: a whole"
    ),
    "host with a port": wrong(
        f"{_RULE}.to", [{"host": "a.example.org:443"}], "without a wildcard, scheme or port"
    ),
    "address as a host": wrong(f"{_RULE}.to", [{"host": "203.0.113.7"}], "'203.0.113.7' cannot stand here"),
    "host without a dot": wrong(f"{_RULE}.to", [{"host": "localhost"}], "'localhost' cannot stand here"),
    "range": wrong(f"{_RULE}.ports.0", {"port": 9, "endPort": 8}, "endPort needs a port"),
    "CPU": wrong(_CPU, "lots", "not a CPU quantity: 'lots'"),
    "no CPU": wrong(_CPU, "0", "CPU is between 1m and 256"),
    "size": wrong(_MEMORY, "64MB", "not a size: '64MB'"),
    "no size": wrong(_MEMORY, "1Pi", "a size is between 1Mi and 16Ti"),
    "duration": wrong("spec.scale.idleAfter", "5 minutes", "not a duration: '5 minutes'"),
    "name": wrong("spec.containers.0.name", "Shop_Web", "'Shop_Web' cannot stand here: 1 to 63 lower-case"),
    "name with a line end": wrong("spec.containers.0.name", "shop\n", "cannot stand here"),
    "variable's name": wrong(_ENV, "A=B", "'A=B' cannot stand here: up to 255 letters"),
    "NUL": wrong("spec.containers.0.args", ["a\0b"], "no program can be given a NUL"),
}
