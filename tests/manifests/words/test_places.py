# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' own fields are all known here; the page says what the table says."""

import json

import pytest

from tests.manifests.words import page
from tests.paths import VECTORS
from trustedpods.manifests.words.places import all_places
from trustedpods.manifests.words.word import Place

PLACES = {place.title: place for place in all_places()}

FIELDS: dict[str, list[str]] = json.loads((VECTORS / "kubernetes_fields.json").read_text())["definitions"]
"""Fields by definition, out of the API server's own OpenAPI document; a live test compares them."""

WHERE = {
    "PodSpec": "`spec`",
    "DeploymentSpec": "`spec`",
    "ObjectMeta": "metadata",
    "PodSecurityContext": "securityContext of `spec`",
    "Container": "a container",
    "SecurityContext": "securityContext of a container",
    "Capabilities": "capabilities of a container",
    "ContainerPort": "ports of a container",
    "EnvVar": "env",
    "EnvVarSource": "valueFrom",
    "SecretKeySelector": "secretKeyRef",
    "ObjectFieldSelector": "fieldRef",
    "EnvFromSource": "envFrom",
    "SecretEnvSource": "secretRef",
    "Probe": "a probe",
    "ExecAction": "exec",
    "Lifecycle": "lifecycle",
    "LifecycleHandler": "preStop",
    "SleepAction": "sleep",
    "GRPCAction": "grpc",
    "HTTPHeader": "httpHeaders",
    "HTTPGetAction": "httpGet",
    "TCPSocketAction": "tcpSocket",
    "ResourceRequirements": "resources",
    "VolumeMount": "volumeMounts",
    "Volume": "a volume",
    "EmptyDirVolumeSource": "emptyDir",
    "SecretVolumeSource": "secret",
    "PersistentVolumeClaimSpec": "persistent",
    "ServiceSpec": "a service",
    "ServicePort": "ports of a service",
    "NetworkPolicySpec": "network",
    "NetworkPolicyEgressRule": "",
    "IPBlock": "",
}
"""The part of a manifest in which people write a definition's fields; none where the model has them all."""


def known(place: Place, field: str) -> bool:
    word = place.word(field)
    return field in place.fields or (word is not None and (word.whatever or bool(word.advice)))


@pytest.mark.parametrize("definition", FIELDS)
def test_every_field_of_kubernetes_is_taken_or_refused_with_advice(definition: str) -> None:
    title = WHERE[definition.rpartition(".")[2]]
    if title:
        assert [field for field in FIELDS[definition] if not known(PLACES[title], field)] == []


def test_the_definitions_are_those_of_which_the_manifest_speaks() -> None:
    assert {definition.rpartition(".")[2] for definition in FIELDS} == set(WHERE)


def test_the_page_says_what_the_table_says() -> None:
    assert page.PAGE.read_text() == page.page(), "run python -m tests.manifests.words.page"


def test_each_part_has_its_own_title() -> None:
    assert len(PLACES) == len(list(all_places()))
    for place in PLACES.values():
        for name, word in place.words.items():
            assert word.whatever or word.advice, f"{place.title}: {name}"
