# SPDX-License-Identifier: Apache-2.0
"""Questions that tell whether a part is ready. Each returns when it is and raises when it is not."""

import http.client
import json
import socket
import ssl
from pathlib import Path

from trustedpods.localnet.network import connect
from trustedpods.localnet.settings import Cluster, ClusterNode
from trustedpods.protocol.errors import NetworkFailure

_TIMEOUT_S = 2.0
_ALONE_TIMEOUT_S = 30.0
"""In an emulated machine of a busy host the API server's TLS takes longer than 2 s: asked again and again it
does nothing else."""

_MAX_ANSWER = 1 << 20


def tcp(namespace: str | None, host: str, port: int) -> None:
    """Something accepts connections there, seen from inside the namespace."""
    connect(namespace, host, port).close()


def unix(path: Path) -> None:
    """Something accepts connections on the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        made.settimeout(_TIMEOUT_S)
        made.connect(str(path))


def limit(node: ClusterNode) -> float:
    """Seconds that a part of the node may take to answer."""
    return _ALONE_TIMEOUT_S if node.alone else _TIMEOUT_S


def http_ok(namespace: str | None, host: str, port: int, path: str, timeout: float = _TIMEOUT_S) -> None:
    """GET answers with 200 within *timeout* seconds, asked from inside the namespace."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    connection.sock = connect(namespace, host, port, timeout)
    _ask(connection, path)


def api(cluster: Cluster, path: str) -> bytes:
    """GET from the cluster's API server as its administrator."""
    pki = cluster.path("pki")
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    connection = http.client.HTTPSConnection(
        cluster.serving_ip, 6443, timeout=limit(cluster), context=context
    )
    return _ask(connection, path)


def api_ready(cluster: Cluster) -> None:
    """The API server is ready, with the config map that the controller manager reads at its start."""
    api(cluster, "/readyz")
    api(cluster, "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication")


def controllers_ready(cluster: Cluster) -> None:
    """The controllers do their work: without the default account no pod is admitted."""
    api(cluster, "/api/v1/namespaces/default/serviceaccounts/default")


def node_ready(cluster: Cluster, member: ClusterNode) -> None:
    """The kubelet answers, and the node has registered and can run pods."""
    http_ok(member.namespace, "127.0.0.1", 10248, "/healthz", limit(member))
    node = json.loads(api(cluster, f"/api/v1/nodes/{member.name}"))
    conditions = node.get("status", {}).get("conditions", [])
    ready = next((entry for entry in conditions if entry["type"] == "Ready"), {"message": "not reported"})
    if ready.get("status") != "True":
        raise NetworkFailure(f"node {member.name} is not ready: {ready.get('message', '')}")


def csi_driver(cluster: Cluster, member: ClusterNode, driver: str) -> None:
    """The node's kubelet knows the driver."""
    found = json.loads(api(cluster, f"/apis/storage.k8s.io/v1/csinodes/{member.name}"))
    known = [entry["name"] for entry in found["spec"].get("drivers") or []]
    if driver not in known:
        raise NetworkFailure(f"node {member.name} has no CSI driver {driver} yet")


def always() -> None:
    """For a part that says nothing about itself: running is ready."""


def _ask(connection: http.client.HTTPConnection, path: str) -> bytes:
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read(_MAX_ANSWER)
    except http.client.HTTPException as error:
        raise NetworkFailure(f"no HTTP answer: {error!r}", where=path) from None
    finally:
        connection.close()
    if answer.status != 200:
        raise NetworkFailure(f"HTTP {answer.status}: {body[:200].decode(errors='replace')}", where=path)
    return body
