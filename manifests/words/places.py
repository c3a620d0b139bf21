# SPDX-License-Identifier: Apache-2.0
"""The one table of known words, by the part of a manifest in which they may stand."""

from collections.abc import Iterator

from trustedpods.manifests.spec.container import (
    Container,
    ContainerPort,
    InitContainer,
    SecurityContext,
    VolumeMount,
)
from trustedpods.manifests.spec.csi.volume import CsiVolume, SecretName, SecretProviderClass
from trustedpods.manifests.spec.egress import Network
from trustedpods.manifests.spec.environment import (
    EnvFrom,
    EnvSource,
    EnvVar,
    FieldRef,
    HostAlias,
    SecretKeyRef,
    SecretRef,
)
from trustedpods.manifests.spec.exposure.ingress import Ingress, IngressPath
from trustedpods.manifests.spec.lifecycle import Lifecycle, PreStop, Sleep
from trustedpods.manifests.spec.pod import Metadata, PodManifest, PodSpec
from trustedpods.manifests.spec.probe import Exec, Grpc, HttpGet, HttpHeader, Probe, TcpSocket
from trustedpods.manifests.spec.resources import ContainerResources, ResourceSizes
from trustedpods.manifests.spec.scale import Scale
from trustedpods.manifests.spec.service import Service, ServicePort
from trustedpods.manifests.spec.volume import EmptyDir, Persistent, SecretSource, Seed, Volume
from trustedpods.manifests.words import container, placement, pod, service, volume
from trustedpods.manifests.words.word import Place

_SIZES = Place("sizes of a container", ResourceSizes, container.SIZES, devices=container.DEVICES)
_ENV_SOURCE = Place(
    "valueFrom",
    EnvSource,
    container.ENV_SOURCE,
    {
        "secretKeyRef": Place("secretKeyRef", SecretKeyRef, container.SECRET_KEY),
        "fieldRef": Place("fieldRef", FieldRef, container.FIELD_REF),
    },
)
_HTTP_GET = Place(
    "httpGet",
    HttpGet,
    container.HTTP_GET,
    {"httpHeaders": Place("httpHeaders", HttpHeader, {})},
)
_PRE_STOP = Place(
    "preStop",
    PreStop,
    container.PRE_STOP,
    {"exec": Place("exec", Exec, {}), "httpGet": _HTTP_GET, "sleep": Place("sleep", Sleep, {})},
)
_PROBE = Place(
    "a probe",
    Probe,
    container.PROBE,
    {
        "exec": Place("exec", Exec, {}),
        "grpc": Place("grpc", Grpc, {}),
        "httpGet": _HTTP_GET,
        "tcpSocket": Place("tcpSocket", TcpSocket, container.TCP_SOCKET),
    },
)
CONTAINER = Place(
    "a container",
    Container,
    container.CONTAINER,
    {
        "env": Place("env", EnvVar, container.ENV, {"valueFrom": _ENV_SOURCE}),
        "envFrom": Place(
            "envFrom",
            EnvFrom,
            container.ENV_FROM,
            {"secretRef": Place("secretRef", SecretRef, container.SECRET_REF)},
        ),
        "ports": Place("ports of a container", ContainerPort, container.PORT),
        "readinessProbe": _PROBE,
        "livenessProbe": _PROBE,
        "lifecycle": Place("lifecycle", Lifecycle, container.LIFECYCLE, {"preStop": _PRE_STOP}),
        "startupProbe": _PROBE,
        "resources": Place(
            "resources",
            ContainerResources,
            container.RESOURCES,
            {"limits": _SIZES, "requests": _SIZES},
        ),
        "securityContext": Place("securityContext of a container", SecurityContext, container.SECURITY),
        "volumeMounts": Place("volumeMounts", VolumeMount, container.MOUNT),
    },
)
INIT_CONTAINER = Place("an init container", InitContainer, container.INIT, CONTAINER.parts)
VOLUME = Place(
    "a volume",
    Volume,
    volume.VOLUME,
    {
        "emptyDir": Place("emptyDir", EmptyDir, volume.EMPTY_DIR),
        "persistent": Place("persistent", Persistent, volume.PERSISTENT),
        "secret": Place("secret", SecretSource, volume.SECRET, {}),
        "seed": Place("seed", Seed, volume.SEED),
        "csi": Place(
            "csi",
            CsiVolume,
            volume.CSI,
            {
                "secretProviderClass": Place(
                    "secretProviderClass", SecretProviderClass, volume.SECRET_PROVIDER_CLASS
                ),
                "nodePublishSecretRef": Place("nodePublishSecretRef", SecretName, {}),
            },
        ),
    },
)
SERVICE = Place(
    "a service",
    Service,
    service.SERVICE,
    {
        "ports": Place("ports of a service", ServicePort, service.PORT),
        "ingress": Place(
            "an ingress",
            Ingress,
            service.INGRESS,
            {"paths": Place("paths of an ingress", IngressPath, service.INGRESS_PATH)},
        ),
    },
)
SPEC = Place(
    "`spec`",
    PodSpec,
    pod.SPEC,
    {
        "containers": CONTAINER,
        "initContainers": INIT_CONTAINER,
        "volumes": VOLUME,
        "hostAliases": Place("hostAliases", HostAlias, pod.HOST_ALIAS),
        "services": SERVICE,
        "scale": Place("scale", Scale, pod.SCALE),
        "network": Place("network", Network, pod.NETWORK),
        "affinity": placement.AFFINITY,
        "tolerations": placement.TOLERATION,
        "topologySpreadConstraints": placement.SPREAD,
    },
)
METADATA = Place("metadata", Metadata, pod.METADATA)
MANIFEST = Place("the whole file", PodManifest, pod.HEAD, {"metadata": METADATA, "spec": SPEC})


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
