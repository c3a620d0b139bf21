# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with a service that a controller of the cluster's serves."""

from tests.manifests.sound import changed
from tests.manifests.wrong_form import Wrong

SHOP = {
    "name": "shop",
    "expose": "ingress",
    "ports": [{"port": 80, "targetPort": 8080}],
    "hosts": ["www.example.org"],
    "ingress": {"className": "traefik"},
}
_PATHS = {"className": "traefik", "paths": [{"path": "/a"}]}


def _with(words: str, *more: dict[str, object], trust: str = "open", least: int = 1) -> Wrong:
    """SOUND with services for a controller in the place of `db`: SHOP, each with what it has else."""
    tree = changed("spec.scale.min", least)
    tree["spec"]["trust"] = trust
    tree["spec"]["services"][1:] = [SHOP | one for one in more]
    return Wrong(tree, words)


INGRESS = {
    "ingress of a sealed pod": _with("an ingress controller reads what it passes on", {}, trust="sealed"),
    "ingress of a pod that sleeps": _with(
        "what comes for 'shop' wakes no pod (expose: ingress)", {}, least=0
    ),
    "ingress without a host": _with("an ingress is reached under hosts of your own", {"hosts": []}),
    "ingress under the facade's host": _with(
        "shop.example.org leads to the facade or to a controller",
        {"hosts": ["www.example.org", "shop.example.org"]},
    ),
    "ingress under a host twice": _with(
        "www.example.org is listed twice", {"hosts": ["www.example.org", "www.example.org"]}
    ),
    "ingresses of one path": _with(
        "www.example.org/a (Prefix) leads to two services",
        {"ingress": _PATHS},
        {"name": "api", "ingress": _PATHS},
    ),
    "ingress of a long route": _with(
        "host and path have 414 characters, at most 400 together",
        {
            "hosts": [".".join(["a" * 60] * 4)],
            "ingress": {"className": "traefik", "paths": [{"path": ("/" + "b" * 56) * 3}]},
        },
    ),
    "ingress without its class": _with("go together", {"ingress": None}),
    "ingress that names no class": _with("this field is missing", {"ingress": {}}),
    "class of a service of the facade's": Wrong(
        changed("spec.services.1.ingress", {"className": "traefik"}), "go together"
    ),
    "ingress with paths of http": _with("paths of an ingress have a kind", {"paths": ["/a"]}),
    "ingress with affinity": _with(
        "sessionAffinity is what annotations of the ingress's class are for", {"sessionAffinity": "clientIP"}
    ),
    "ingress with limits": _with(
        "limits need the facade, which a service exposed as ingress does not pass",
        {"limits": {"connections": 1}},
    ),
    "ingress of HTTP/2": _with(
        "a controller speaks HTTP/1.1 to the pod",
        {"ports": [{"port": 80, "targetPort": 8080, "appProtocol": "kubernetes.io/h2c"}]},
    ),
    "ingress of UDP": _with(
        "exposed as ingress carries no UDP", {"ports": [{"port": 53, "protocol": "UDP"}]}
    ),
    "ingress of two ports": _with(
        "a service exposed as ingress has exactly one port", {"ports": [{"port": 8080}, {"port": 5432}]}
    ),
    "ingress's path of another kind": _with(
        "'Prefix' or 'Exact'",
        {"ingress": {"className": "traefik", "paths": [{"pathType": "ImplementationSpecific"}]}},
    ),
    "ingress's annotation of two lines": _with(
        "up to 512 printable characters of ASCII",
        {"ingress": {"className": "traefik", "annotations": {"traefik.example/a": "b\nc"}}},
    ),
    "ingress's annotation of nobody": _with(
        "'snippet' cannot stand here: an annotation of the class",
        {"ingress": {"className": "traefik", "annotations": {"snippet": "b"}}},
    ),
}
