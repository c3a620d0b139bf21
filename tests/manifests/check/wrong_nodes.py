# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with the nodes that a pod calls, and with its files that refer to them."""

from tests.manifests.sound import FILES, changed
from tests.manifests.wrong_form import Wrong, wrong


def _rendering(more: dict[str, object], words: str, token: bytes = b"t0ken") -> Wrong:
    """SOUND of a node that calls `b`, with more in its secret; its token is no variable."""
    tree = changed("spec.network.nodes", ["b"])
    tree["spec"]["volumes"][0]["secret"] |= more
    app = tree["spec"]["containers"][0]
    app["env"], app["envFrom"] = [], []
    return Wrong(tree, words, FILES | {"token": token})


def _variables(**variables: object) -> Wrong:
    found = _rendering({"rendered": ["token"], "onChange": "reload"}, "a variable of 'app' never changes")
    app = found.tree["spec"]["containers"][0]
    app["volumeMounts"] = [one for one in app["volumeMounts"] if one["name"] != "keys"]
    app |= variables
    return found


def _tunnel(tunnel: dict[str, object], words: str, key: str = "x25519", **more: object) -> Wrong:
    """SOUND of a node with a *tunnel* at its service `link`, a *key* of that type, and *more* in its spec."""
    tree = changed("spec.network", {"nodes": ["b"], "tunnel": {"service": "link", **tunnel}})
    tree["spec"]["volumes"][0]["secret"]["generate"]["id"] = {"type": key, "identity": True}
    tree["spec"]["services"].append(_LINK)
    tree["spec"] |= {"scale": {"min": 1, "max": 1}, **more}
    return Wrong(tree, words)


_LINK = {"name": "link", "expose": "nodePort", "ports": [{"port": 51820, "protocol": "UDP"}]}


def _calling(service: dict[str, object]) -> Wrong:
    tree = changed("spec.network.nodes", ["b"])
    tree["spec"]["services"][1] = service
    return Wrong(tree, "the name 'peer-b' is kept for the way to another node: give the service another")


def _reload(reload: dict[str, object], words: str, **secret: object) -> Wrong:
    """SOUND with a `reload`, of a node whose secret is rendered and mounted as a folder, but for *secret*."""
    found = _rendering({"rendered": ["token"], "onChange": "reload"} | secret, words)
    app = found.tree["spec"]["containers"][0]
    for mount in app["volumeMounts"]:
        if mount["name"] == "keys":
            mount.pop("subPath", None)
    found.tree["spec"]["reload"] = reload
    return found


_HUP = {"container": "app", "signal": "SIGHUP"}

NODES = {
    "reload by nothing": _reload({"container": "app"}, "give either a signal or exec"),
    "reload by both": _reload(_HUP | {"exec": {"command": ["x"]}}, "give either a signal or exec"),
    "reload by a signal that ends": _reload(_HUP | {"signal": "SIGKILL"}, "SIGHUP"),
    "reload of no container": _reload(_HUP | {"container": "x"}, "no container 'x' runs (there is: app"),
    "reload of one of several": _reload(
        {"signal": "SIGHUP"}, "`container` says in which of them (there is: app"
    ),
    "reload where no file is": _reload(
        {"container": "side", "signal": "SIGHUP"}, "'side' mounts no secret with `onChange: reload`"
    ),
    "reload of what restarts": _reload(_HUP, "no secret has `onChange: reload`", onChange="restart"),
    "node twice": wrong("spec.network.nodes", ["b", "b"], "the node 'b' is listed twice"),
    "node of a wrong name": wrong("spec.network.nodes", ["B"], "'B' cannot stand here: lower-case letters"),
    "service of a node's name": _calling({"name": "peer-b", "expose": "tcp", "ports": [{"port": 5432}]}),
    "rendered and not there": _rendering({"rendered": ["x"]}, "no file 'x' is there (there is: tls.crt,"),
    "reload of nothing": _rendering({"onChange": "reload", "generate": {}}, "list them in `rendered`"),
    "reload of a mount by subPath": _rendering(
        {"rendered": ["token"], "onChange": "reload"},
        "what 'app' mounts by subPath never changes while a replica runs",
    ),
    "reload of a variable": _variables(envFrom=[{"secretRef": {"name": "keys"}}]),
    "reload of one variable": _variables(
        env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}}]
    ),
    "reference to a stranger": _rendering(
        {"rendered": ["token"]},
        "token:2:1: 'c' is no node that the pod calls (there is: b); see spec.network.nodes",
        b"\n${node.c.web.port}",
    ),
    "reference that is none": _rendering(
        {"rendered": ["token"]}, "token:1:1: '${node.b}' is no reference", b"${node.b}"
    ),
    "rendered and no text": _rendering(
        {"rendered": ["token"]}, "token is not UTF-8 text, and so cannot be rendered", b"\xff"
    ),
    "tunnel to nobody": _tunnel({}, "the tunnel leads to no node", network={"tunnel": {"service": "link"}}),
    "tunnel with another key": _tunnel({}, "generate one with `type: x25519, identity: true`", "p256"),
    "tunnel of two replicas": _tunnel({}, "belong to one replica", scale={"min": 1, "max": 2}),
    "tunnel at no service": _tunnel({"service": "l"}, "no service 'l' (there is: db, link, web)"),
    "tunnel at a service of TCP": _tunnel(
        {"service": "db"}, "the service 'db' must have one port of `protocol: UDP`"
    ),
    "tunnel that opens a port twice": _tunnel(
        {"opens": [{"port": 53, "protocol": "UDP"}, {"port": 53}, {"port": 53}]},
        "port 53 (TCP) is listed twice",
    ),
}
