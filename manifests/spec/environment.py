# SPDX-License-Identifier: Apache-2.0
"""The environment of a container: its variables, and further names in /etc/hosts."""

from ipaddress import IPv4Address
from typing import Annotated, Literal, Self

import pydantic
from pydantic import model_validator

from trustedpods.manifests.spec.part import DnsLabel, EnvName, FileName, ManifestPart, Spelling, Text, not_yet

ORDINAL = "metadata.labels['apps.kubernetes.io/pod-index']"
"""Where Kubernetes writes a stateful replica's number."""

Field = Literal[
    "metadata.name", "metadata.namespace", "metadata.uid", "status.podIP",
    "metadata.labels['apps.kubernetes.io/pod-index']",
]  # fmt: skip
"""What a replica may know of itself. Nothing of it tells of the node, or of anybody else in the cluster."""


class SecretKeyRef(ManifestPart):
    """A key of a secret volume of this manifest."""

    name: DnsLabel
    key: FileName


class FieldRef(ManifestPart):
    """A field of the replica itself."""

    field_path: Field


class EnvSource(ManifestPart):
    """Where an environment variable's value comes from."""

    secret_key_ref: SecretKeyRef | None = None
    field_ref: FieldRef | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.secret_key_ref is None) == (self.field_ref is None):
            raise ValueError("give either secretKeyRef or fieldRef")
        return self


class EnvVar(ManifestPart):
    """One environment variable: a value, or where it comes from; with neither it is empty."""

    name: EnvName
    value: Text | None = None
    value_from: EnvSource | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.value is not None and self.value_from is not None:
            raise ValueError("give either value or valueFrom")
        return self


class SecretRef(ManifestPart):
    """A secret volume of this manifest."""

    name: DnsLabel


HostAliasName = Annotated[
    str,
    Spelling(
        r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*",
        "a host name in lower case, as db or db.example.org",
    ),
]


class HostAlias(ManifestPart):
    """A line of /etc/hosts in all containers. It opens nothing: the rules of `network` are for addresses."""

    ip: str
    hostnames: Annotated[list[HostAliasName], pydantic.Field(min_length=1, max_length=16)]

    @pydantic.field_validator("ip")
    @classmethod
    def _is_address(cls, text: str) -> str:
        if ":" in text:
            raise not_yet(f"{text}: IPv6")
        try:
            address = IPv4Address(text)
        except ValueError:
            raise ValueError(f"{text[:64]!r} is not an IPv4 address") from None
        if address.is_multicast or address.is_unspecified or address == IPv4Address("255.255.255.255"):
            raise ValueError(f"{text} is nobody's address")
        return text


class EnvFrom(ManifestPart):
    """All files of a secret as variables, named as the files are behind `prefix`; `env` goes before them."""

    secret_ref: SecretRef
    prefix: Annotated[
        str, Spelling(r"([A-Za-z_][A-Za-z0-9_.-]{0,127})?", "the beginning of a variable's name")
    ] = ""
