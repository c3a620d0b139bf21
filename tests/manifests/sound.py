# SPDX-License-Identifier: Apache-2.0
"""A sound manifest that uses every part of the model, and ways to change one place of it."""

from copy import deepcopy
from typing import Any

Path = tuple[str | int, ...]

_APP: dict[str, Any] = {
    "name": "app",
    "image": "oci-archive:app.tar",
    "command": ["/app"],
    "args": ["-v"],
    "workingDir": "/srv",
    "env": [
        {"name": "MODE", "value": "fast"},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}},
        {"name": "REPLICA", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ],
    "envFrom": [{"secretRef": {"name": "keys"}, "prefix": "KEYS_"}],
    "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}, {"containerPort": 5432}],
    "resources": {"limits": {"cpu": "100m", "memory": "64Mi", "ephemeral-storage": "64Mi"}},
    "securityContext": {"readOnlyRootFilesystem": True, "runAsUser": 10001, "runAsGroup": 10002},
    "volumeMounts": [
        {"name": "keys", "mountPath": "/keys", "readOnly": True},
        {"name": "keys", "mountPath": "/etc/app/token", "subPath": "token"},
        {"name": "data", "mountPath": "/data", "subPath": "app"},
        {"name": "scratch", "mountPath": "/tmp"},
    ],
    "readinessProbe": {
        "httpGet": {"path": "/ready", "port": 8080},
        "timeoutSeconds": 2,
        "successThreshold": 2,
    },
    "livenessProbe": {"exec": {"command": ["/app", "-check"]}, "periodSeconds": 10, "failureThreshold": 6},
    "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
    "startupProbe": {"grpc": {"port": 5432, "service": "shop"}, "initialDelaySeconds": 1},
}

SOUND: dict[str, Any] = {
    "apiVersion": "trustedpods/v1",
    "kind": "Pod",
    "metadata": {"name": "shop"},
    "spec": {
        "containers": [
            _APP,
            {
                "name": "side",
                "image": "oci-archive:app.tar",
                "readinessProbe": {"tcpSocket": {"port": 5432}},
                "lifecycle": {"preStop": {"exec": {"command": ["/app", "-leave"]}}},
                "livenessProbe": {
                    "httpGet": {
                        "port": 8443,
                        "scheme": "HTTPS",
                        "httpHeaders": [{"name": "Host", "value": "shop.example.org"}],
                    }
                },
            },
        ],
        "terminationGracePeriodSeconds": 45,
        "hostAliases": [{"ip": "203.0.113.3", "hostnames": ["db.example.org", "db"]}],
        "initContainers": [
            {"name": "first", "image": "oci-archive:app.tar", "args": ["-once"]},
            {
                "name": "proxy",
                "image": "oci-archive:app.tar",
                "restartPolicy": "Always",
                "ports": [{"name": "proxy", "containerPort": 9000}],
                "startupProbe": {"tcpSocket": {"port": 9000}},
            },
        ],
        "volumes": [
            {
                "name": "keys",
                "secret": {
                    "files": {"token": "t", "tls.crt": "c", "tls.key": "k"},
                    "generate": {
                        "cookie": {"type": "hex", "length": 16},
                        "id": {
                            "type": "p256",
                            "encoding": "pem",
                            "identity": True,
                            "renewal": 1,
                            "certificates": {"tls.pem": "a.shop.internal"},
                        },
                    },
                },
            },
            {
                "name": "data",
                "persistent": {
                    "size": "1Gi",
                    "storageClassName": "local-path",
                    "accessMode": "ReadWriteOncePod",
                },
                "seed": {"directory": "first"},
            },
            {"name": "scratch", "emptyDir": {"sizeLimit": "16Mi"}},
        ],
        "services": [
            {
                "name": "web",
                "expose": "http",
                "hosts": ["shop.example.org"],
                "paths": ["/shop"],
                "ports": [{"port": 80, "targetPort": 8080, "appProtocol": "http"}],
                "tls": {"secretName": "keys"},
                "httpsOnly": True,
                "sessionAffinity": {"cookie": "sid"},
                "limits": {"requestsPerSecond": 100, "connections": 10, "bodySize": "1Mi"},
            },
            {"name": "db", "expose": "tcp", "ports": [{"port": 5432, "protocol": "TCP"}]},
        ],
        "network": {
            "egress": [
                {
                    "to": [{"ipBlock": {"cidr": "203.0.113.0/24", "except": ["203.0.113.3/32"]}}],
                    "ports": [{"protocol": "TCP", "port": 443, "endPort": 444}],
                }
            ]
        },
        "scale": {"min": 0, "max": 1, "idleAfter": "5m", "concurrency": 50, "idleConnection": "10m"},
        "trust": "open",
        "policy": "strict",
        "payment": {"deposit": "2.5", "maxCostPerDay": "1"},
        "notify": {"webhook": "https://hooks.example.org/pod"},
    },
}

FILES = {"token": b"t0ken", "tls.crt": b"certificate", "tls.key": b"key"}
"""What the secret volume `keys` holds."""

SEED = {"node/key": b"k3y", "genesis.json": b"{}"}
"""What the volume `data` begins with."""


def changed(path: str, value: object) -> dict[str, Any]:
    """SOUND with *value* at *path*, which names keys and indices between dots (`spec.containers.0.env`)."""
    return put(tuple(int(part) if part.isdigit() else part for part in path.split(".")), value)


def put(path: Path, value: object) -> dict[str, Any]:
    """As `changed`, for a path in parts."""
    tree = deepcopy(SOUND)
    *above, last = path
    holder: Any = tree
    for part in above:
        holder = holder[part]
    holder[last] = value
    return tree


def leaves(tree: object = SOUND, at: Path = ()) -> list[Path]:
    """Paths of all texts and numbers of *tree*."""
    if isinstance(tree, dict):
        return [path for key, value in tree.items() for path in leaves(value, (*at, key))]
    if isinstance(tree, list):
        return [path for index, value in enumerate(tree) for path in leaves(value, (*at, index))]
    return [] if isinstance(tree, bool) else [at]


def at(path: Path, tree: Any = SOUND) -> Any:
    """What stands there."""
    for part in path:
        tree = tree[part]
    return tree
