# SPDX-License-Identifier: Apache-2.0
"""How it is seen that a container can take requests."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from trustedpods.manifests.spec.part import ManifestPart, Port, Spelling


class HttpGet(ManifestPart):
    """Ready when this answers with a status from 200 to 399."""

    path: Annotated[
        str,
        Spelling(r"/[!-~]{0,1023}", "a path that begins with `/`; a space is %20"),
    ] = "/"
    port: Port


class TcpSocket(ManifestPart):
    """Ready when a connection is accepted."""

    port: Port


class Probe(ManifestPart):
    """When a container can take requests. Run by the provider's facade, not by the kubelet.

    Without a period it is asked closely, and a start may take as long as the provider lets any. A period and
    a threshold say how long this one may take; the provider has a bound for that too.
    """

    http_get: HttpGet | None = None
    tcp_socket: TcpSocket | None = None
    timeout_seconds: Annotated[int, Field(ge=1, le=60)] = 1
    initial_delay_seconds: Annotated[int, Field(ge=0, le=3600)] = 0
    period_seconds: Annotated[int, Field(ge=1, le=300)] | None = None
    failure_threshold: Annotated[int, Field(ge=1, le=3600)] | None = None

    @property
    def start_seconds(self) -> int:
        """How long a start may take; 0 if the probe does not say. Kubernetes' defaults: 10 s, 3 times."""
        if self.period_seconds is None and self.failure_threshold is None:
            return self.initial_delay_seconds
        return self.initial_delay_seconds + (self.period_seconds or 10) * (self.failure_threshold or 3)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.http_get is None) == (self.tcp_socket is None):
            raise ValueError("give either httpGet or tcpSocket")
        return self
