# SPDX-License-Identifier: Apache-2.0
"""Any manifest that a provider may be sent, a life of it, and what it becomes."""

from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from tests.fakes.provider.pods import a_life, a_manifest
from trustedpods.manifests.check.pod import problems
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.provider.cluster.objects.pod_objects import PodLife, objects

NAME = "the-publishers-own-name"
DIGEST = "sha256:" + "cd" * 32

labels = st.from_regex(r"[a-z][-a-z0-9]{0,8}[a-z0-9]", fullmatch=True)
ports = st.integers(1, 65535)
files = st.from_regex(r"[a-zA-Z0-9][-_a-zA-Z0-9]{0,8}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@st.composite
def _volumes(draw: st.DrawFn) -> list[dict[str, Any]]:
    kinds = st.one_of(
        st.builds(lambda mib: {"emptyDir": {"sizeLimit": f"{mib}Mi"}}, st.integers(1, 4096)),
        st.builds(lambda mib: {"persistent": {"size": f"{mib}Mi"}}, st.integers(1, 4096)),
        st.builds(
            lambda names: {"secret": {"files": dict.fromkeys(names, "x")}},
            st.lists(files, min_size=1, max_size=3),
        ),
    )
    names = draw(st.lists(labels, unique=True, max_size=4))
    return [{"name": name, **draw(kinds)} for name in names]


@st.composite
def _container(draw: st.DrawFn, name: str, volumes: list[dict[str, Any]]) -> dict[str, Any]:
    env: list[dict[str, Any]] = [
        {"name": key, "value": draw(texts)} for key in draw(st.lists(st.sampled_from("ABC"), max_size=3))
    ]
    secrets = [volume for volume in volumes if "secret" in volume]
    if secrets:
        secret = draw(st.sampled_from(secrets))
        reference = {"name": secret["name"], "key": draw(st.sampled_from(sorted(secret["secret"]["files"])))}
        env.append({"name": "SECRET", "valueFrom": {"secretKeyRef": reference}})
    mounted = draw(st.lists(st.sampled_from(volumes), unique_by=id, max_size=3)) if volumes else []
    return {
        "name": name,
        "image": "oci-archive:x.tar",
        "command": draw(st.lists(texts, max_size=2)),
        "args": draw(st.lists(texts, max_size=2)),
        "env": env,
        "ports": [{"containerPort": port} for port in draw(st.lists(ports, max_size=3))]
        + [{"containerPort": 8080}],
        "resources": {
            "limits": {
                "cpu": f"{draw(st.integers(1, 4000))}m",
                "memory": f"{draw(st.integers(4, 4096))}Mi",
                "ephemeral-storage": f"{draw(st.integers(1, 4096))}Mi",
            }
        },
        "volumeMounts": [
            {"name": volume["name"], "mountPath": f"/mnt/{index}", "readOnly": draw(st.booleans())}
            for index, volume in enumerate(mounted)
        ],
    }


@st.composite
def lives(draw: st.DrawFn) -> PodLife:
    """A complete life of any sound manifest."""
    volumes = draw(_volumes())
    names = draw(st.lists(labels, unique=True, min_size=1, max_size=3))
    most = 1 if any("persistent" in volume for volume in volumes) else draw(st.integers(1, 5))
    manifest = PodManifest.model_validate(
        {
            "apiVersion": "trustedpods/v1",
            "kind": "Pod",
            "metadata": {"name": NAME},
            "spec": {
                "containers": [draw(_container(name, volumes)) for name in names],
                "volumes": volumes,
                "services": [{"name": "web", "expose": "http", "ports": [{"port": 80, "targetPort": 8080}]}],
                "scale": {"min": draw(st.integers(0, most)), "max": most},
            },
        }
    )
    assume(not list(problems(manifest)))
    secrets = {
        volume.name: {file: draw(st.binary(max_size=20)) for file in volume.secret.files}
        for volume in manifest.spec.volumes
        if volume.secret
    }
    images = dict.fromkeys(names, f"127.0.0.1:5000/pods/p1@{DIGEST}")
    return PodLife("tp-p1-1", "p1", manifest, secrets, images, ("10.128.0.11/32",))


def a_life_with_an_init_container() -> PodLife:
    """Its container `first` takes a whole CPU and runs before `c`."""
    limits = {"limits": {"cpu": "1", "memory": "1Gi"}}
    first = [{"name": "first", "image": "oci-archive:x.tar", "resources": limits}]
    return a_life(a_manifest(initContainers=first))


def by_kind(life: PodLife, kind: str) -> list[dict[str, Any]]:
    """The objects of that kind among all that the life becomes."""
    return [dict(made) for made in objects(life) if made["kind"] == kind]


def the_deployment(life: PodLife) -> dict[str, Any]:
    """What runs the life's replicas."""
    (found,) = by_kind(life, "Deployment")
    return found
