# SPDX-License-Identifier: Apache-2.0
"""The one table of known words, by the part of a manifest in which they may stand."""

from collections.abc import Iterator

from trustedpods.manifests import egress, model
from trustedpods.manifests import service as services
from trustedpods.manifests.words import container, pod, service, volume
from trustedpods.manifests.words.word import Place

_SIZES = Place("sizes of a container", model.ResourceSizes, container.SIZES, devices=container.DEVICES)
_ENV_SOURCE = Place(
    "valueFrom",
    model.EnvSource,
    container.ENV_SOURCE,
    {"secretKeyRef": Place("secretKeyRef", model.SecretKeyRef, container.SECRET_KEY)},
)
_PROBE = Place(
    "readinessProbe",
    model.Probe,
    container.PROBE,
    {
        "httpGet": Place("httpGet", model.HttpGet, container.HTTP_GET),
        "tcpSocket": Place("tcpSocket", model.TcpSocket, container.TCP_SOCKET),
    },
)
CONTAINER = Place(
    "a container",
    model.Container,
    container.CONTAINER,
    {
        "env": Place("env", model.EnvVar, container.ENV, {"valueFrom": _ENV_SOURCE}),
        "ports": Place("ports of a container", model.ContainerPort, container.PORT),
        "readinessProbe": _PROBE,
        "resources": Place(
            "resources",
            model.ContainerResources,
            container.RESOURCES,
            {"limits": _SIZES, "requests": _SIZES},
        ),
        "securityContext": Place("securityContext of a container", model.SecurityContext, container.SECURITY),
        "volumeMounts": Place("volumeMounts", model.VolumeMount, container.MOUNT),
    },
)
INIT_CONTAINER = Place(
    "an init container", model.Container, {**container.CONTAINER, **container.INIT}, CONTAINER.parts
)
VOLUME = Place(
    "a volume",
    model.Volume,
    volume.VOLUME,
    {
        "emptyDir": Place("emptyDir", model.EmptyDir, volume.EMPTY_DIR),
        "persistent": Place("persistent", model.Persistent, volume.PERSISTENT),
        "secret": Place("secret", model.SecretSource, volume.SECRET),
    },
)
SERVICE = Place(
    "a service",
    services.Service,
    service.SERVICE,
    {"ports": Place("ports of a service", services.ServicePort, service.PORT)},
)
SPEC = Place(
    "`spec`",
    model.PodSpec,
    pod.SPEC,
    {
        "containers": CONTAINER,
        "initContainers": INIT_CONTAINER,
        "volumes": VOLUME,
        "services": SERVICE,
        "scale": Place("scale", model.Scale, pod.SCALE),
        "network": Place("network", egress.Network, pod.NETWORK),
    },
)
METADATA = Place("metadata", model.Metadata, pod.METADATA)
MANIFEST = Place("the whole file", model.PodManifest, pod.HEAD, {"metadata": METADATA, "spec": SPEC})


def all_places(place: Place = MANIFEST) -> Iterator[Place]:
    """Every part in which words are known, once, from the outside in."""
    seen: set[str] = set()
    waiting = [place]
    while waiting:
        one = waiting.pop(0)
        if one.title not in seen:
            seen.add(one.title)
            yield one
            waiting += [word.inside for word in one.words.values() if word.inside is not None]
            waiting += one.parts.values()
