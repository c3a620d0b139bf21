# SPDX-License-Identifier: Apache-2.0
"""Every manifest with a trait of its own, and what a pod made of it answers or how its deploy ends."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.cases.archives import REFUSED, SHOWN
from tests.fakes.images.image_cases import CASES as ARCHIVES
from tests.fakes.images.image_cases import Case, bytes_of, image_case
from tests.manifests.cases import BASE, env, instead
from tests.manifests.cases import CASES as MANIFESTS
from tests.manifests.words.test_files import FILES as OTHER_KINDS

Json = dict[str, object]

_SHOP = re.compile(rb'\bname"?: "?shop"?\s')
RUNS = {"/": "it runs"}
APP = image_case()


@dataclass(frozen=True)
class Pod:
    """A manifest's text, the archives beside it, and what becomes of it.

    `refused` are words with which `validate` refuses it. Else it is deployed: `answers` has by service and
    path a part of what is answered, `fails` words of a deploy that ends with a refusal, its money back,
    `lacks` words of one that ends before any money, as the localnet's cluster has no such thing, and `stops`
    words of `status` when a pod runs no more that did at first (or of the deploy, if it was fast).
    """

    text: bytes
    archives: Mapping[str, Case] = field(default_factory=lambda: {"app.tar": APP})
    refused: str | None = None
    answers: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: {"web": RUNS})
    fails: str = ""
    lacks: str = ""
    stops: str = ""

    @property
    def is_of_any_name(self) -> bool:
        """Whether the name in the manifest is no trait of it."""
        return _SHOP.search(self.text) is not None


def _refused(text: str, words: str) -> Pod:
    return Pod(text.encode(), refused=words)


def _of_archive(case: Case, answers: Mapping[str, str]) -> Pod:
    text = instead("oci-archive:app.tar", f"{case.kind}:app.tar{case.name}")
    shown = {**RUNS, "/tmp/self": f"\nWHICH={case.expected}\n"} | answers
    return Pod(text.encode(), {"app.tar": case}, case.refused, {"web": shown})


_SAID = {
    "reference": "\nC=b:$(A)\n", "name only": "\nDEBUG=\n", "null": "\nDEBUG=\n", "yes": "\nDEBUG=yes\n",
    "lines": "\nKEY=one\ntwo\n", "UTF-8": "\nGREETING=Grüße, 世界 🚀\n",
}  # fmt: skip
"""What containers find in their environment."""


_NEVER_READY = {
    "command": "Readiness probe", "gRPC": "Readiness probe", "TLS": "Readiness probe",
    "header": "GET / on port 1: connection refused",
}  # fmt: skip
"""Sound, and asking for what the app does not have: the deploy says which probe was answered how."""


_LACKING = {"shared by its word": "no storage class nfs"}
"""Sound, and asking for what other clusters have: no provider here is chosen for it."""


def _manifest(name: str, text: str, words: str | None) -> Pod:
    said = {"/tmp/self": _SAID[name]} if name in _SAID else {}
    fails, lacks = _NEVER_READY.get(name, ""), _LACKING.get(name, "")
    return Pod(text.encode(), refused=words, answers={"web": RUNS | said}, fails=fails, lacks=lacks)


def container(name: str, port: int | None, archive: str = "app", **variables: str) -> Json:
    """A container of an archive that serves at *port*, or at none that a service leads to."""
    variables = {"PORT": str(port or 8090)} | variables
    return {
        "name": name,
        "image": f"oci-archive:{archive}.tar",
        "env": [{"name": key, "value": value} for key, value in variables.items()],
        "ports": [] if port is None else [{"containerPort": port}],
        "resources": {"limits": {"cpu": "100m", "memory": "32Mi", "ephemeral-storage": "32Mi"}},
    }


def pod(*containers: Json, **spec: object) -> bytes:
    """A pod of these containers, each port of which has a service of its container's name."""
    services = [
        {"name": one["name"], "expose": "http", "ports": [{"port": 80, "targetPort": port["containerPort"]}]}
        for one in containers
        for port in one.get("ports", [])  # type: ignore[attr-defined]  # as `container` makes it
    ]
    whole = {
        "apiVersion": "trustedpods/v1",
        "kind": "Pod",
        "metadata": {"name": "shop"},
        "spec": {"containers": list(containers), "services": services, **spec},
    }
    return json.dumps(whole, indent=1, ensure_ascii=False).encode()


_MANY = {
    "zstd": "zstd", "two-members": "two gzip members", "whiteouts": "files taken away", "shell": "shell form",
    "volume": "a volume", "variables": "odd variables", "signal": "a stop signal's number",
    "twice": "an entry twice",
}  # fmt: skip
"""Containers of one pod, and their archives."""

_SCALE = {"min": 0, "max": 1, "idleAfter": "5s"}


def _many() -> Pod:
    containers = [container(name, 8081 + place, name) for place, name in enumerate(_MANY)]
    answers = {name: RUNS | SHOWN[trait].answers for name, trait in _MANY.items()}
    return Pod(
        pod(*containers, scale=_SCALE), {f"{n}.tar": SHOWN[t].case for n, t in _MANY.items()}, None, answers
    )


def _served(*containers: Json, fails: str = "", stops: str = "", **spec: object) -> Pod:
    first = str(containers[0]["name"])
    text = pod(*containers, **{"scale": _SCALE, **spec})
    return Pod(text, answers={first: RUNS}, fails=fails, stops=stops)


def _job() -> Json:
    """A container that does its work and ends."""
    made = container("migrate", None, EXIT_AFTER="1")
    return {name: value for name, value in made.items() if name != "ports"}


def _image(reference: str) -> str:
    return instead("oci-archive:app.tar", reference)


_NO_IMAGE = "nobody may be asked; without --offline it is fetched from docker.io"

OWN: dict[str, Pod] = {
    "UTF-16": Pod(BASE.encode("utf-16"), refused="this is UTF-16, not UTF-8; save the file as UTF-8"),
    "Latin 1": Pod(env("{name: A, value: ü}").encode("latin-1"), refused="not UTF-8 text"),
    "an image's name": _refused(_image("nginx:1.27"), _NO_IMAGE),
    "an image in a registry": _refused(_image("docker.io/library/nginx:1.27"), _NO_IMAGE),
    "an image by skopeo's word": _refused(_image("docker://docker.io/library/nginx:1.27"), _NO_IMAGE),
    "no such archive": _refused(_image("oci-archive:other.tar"), "no such file"),
    "a volume's folder above": _refused(
        pod(
            container("web", 8080) | {"volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": ".."}]},
            volumes=[{"name": "v", "emptyDir": {}}],
        ).decode(),
        "'..' cannot stand here",
    ),
    "a program of no folder": _served(
        container("web", 8080) | {"command": ["no-such-thing"]}, fails="executable file not found in $PATH"
    ),
    "a program from a volume": _served(
        container("web", 8080) | {"command": ["/v/app"], "volumeMounts": [{"name": "v", "mountPath": "/v"}]},
        fails="/v/app: no such file or directory",
        volumes=[{"name": "v", "emptyDir": {}}],
    ),
    "a port below 1024 alone": _served(container("web", 80)),
    "eight images": _many(),
    "a job before the server": _served(container("web", 8080), initContainers=[_job()]),
    "a job beside the server": _served(container("web", 8080), _job(), stops="container migrate ended"),
    "a slow start": _served(container("web", 8080, START_DELAY="75"), fails="not ready within 60 s"),
    "a slow start that says so": _served(
        container("web", 8080, START_DELAY="75")
        | {"readinessProbe": {"httpGet": {"port": 8080}, "periodSeconds": 5, "failureThreshold": 30}}
    ),
}

PODS: dict[str, Pod] = (
    {f"manifest: {name}": _manifest(name, text, words) for name, (text, words) in MANIFESTS.items()}
    | {f"file: {name}": _refused(text, words) for name, (text, words, _) in OTHER_KINDS.items()}
    | {f"archive: {name}": _of_archive(case, {}) for name, case in (ARCHIVES | REFUSED).items()}
    | {f"archive: {name}": _of_archive(one.case, one.answers) for name, one in SHOWN.items()}
    | {f"pod: {name}": one for name, one in OWN.items()}
)

DEPLOYED = {name: one for name, one in PODS.items() if one.refused is None}


def write(one: Pod, folder: Path, program: bytes) -> Path:
    """The manifest in *folder*, with its archives, in which *program* stands for busybox."""
    folder.mkdir(exist_ok=True)
    for name, case in one.archives.items():
        (folder / name).write_bytes(bytes_of(case, program))
    file = folder / "pod.yaml"
    file.write_bytes(one.text)
    return file
