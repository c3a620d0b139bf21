# SPDX-License-Identifier: Apache-2.0
"""How it is seen that a container has started, lives and can take requests."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trustedpods.manifests.spec.part import ManifestPart, Port, Spelling, Text

MIN_EXEC_PERIOD_S = 5
"""A command starts a process in the pod and a stream on the node: more often, it is the node that works."""

DEFAULT_PERIOD_S = 10
"""Kubernetes' own (`SetDefaults_Probe`), as is the next."""

DEFAULT_FAILURES = 3


class HttpHeader(ManifestPart):
    """A header of the request, beside or in place of those that are sent anyway."""

    name: Annotated[
        str,
        Spelling(r"[-0-9A-Za-z]{1,128}", "a header's name: letters, digits and `-`, as Kubernetes takes it"),
    ]
    value: Annotated[str, Spelling(r"[\t -~]{0,1024}", "one line of plain ASCII")]


class HttpGet(ManifestPart):
    """Good when this answers with a status from 200 to 399. No certificate is checked, as in Kubernetes."""

    path: Annotated[
        str,
        Spelling(r"/[!-~]{0,1023}", "a path that begins with `/`; a space is %20"),
    ] = "/"
    port: Port
    scheme: Literal["HTTP", "HTTPS"] = "HTTP"
    http_headers: Annotated[list[HttpHeader], Field(max_length=16)] = []


class TcpSocket(ManifestPart):
    """Good when a connection is accepted."""

    port: Port


class Exec(ManifestPart):
    """Good when this command ends with 0 inside the container."""

    command: Annotated[list[Text], Field(min_length=1, max_length=64)]


class Grpc(ManifestPart):
    """Good when gRPC's health service (grpc.health.v1) says SERVING of *service*."""

    port: Port
    service: Annotated[str, Field(max_length=256), Spelling(r"[!-~]*", "plain ASCII without blanks")] = ""


class Probe(ManifestPart):
    """A question to a container, and how often it is asked. Times are in seconds.

    As a readiness probe over plain HTTP or TCP it is asked by the provider's facade: closely, where no period
    is given. All else is asked by the kubelet, with Kubernetes' own defaults (every 10 s, three failures).
    A period and a threshold say how long a start may take; the provider has a bound for that too.
    """

    http_get: HttpGet | None = None
    tcp_socket: TcpSocket | None = None
    exec: Exec | None = None
    grpc: Grpc | None = None
    timeout_seconds: Annotated[int, Field(ge=1, le=60)] = 1
    initial_delay_seconds: Annotated[int, Field(ge=0, le=3600)] = 0
    period_seconds: Annotated[int, Field(ge=1, le=300)] | None = None
    failure_threshold: Annotated[int, Field(ge=1, le=3600)] | None = None
    success_threshold: Annotated[int, Field(ge=1, le=100)] = 1

    @property
    def needs_kubelet(self) -> bool:
        """Whether the facade cannot ask it: a command, gRPC, or HTTP over TLS."""
        secure = self.http_get is not None and self.http_get.scheme == "HTTPS"
        return self.exec is not None or self.grpc is not None or secure

    @property
    def port(self) -> int | None:
        """The port that it connects to; none for a command."""
        asked = self.http_get or self.tcp_socket or self.grpc
        return None if asked is None else asked.port

    @property
    def start_seconds(self) -> int:
        """How long a start may take; its initial delay alone if the probe does not say."""
        if self.period_seconds is None and self.failure_threshold is None:
            return self.initial_delay_seconds
        return self.longest_start

    @property
    def longest_start(self) -> int:
        """Until the kubelet has counted all failures of one that never succeeds."""
        period = self.period_seconds or DEFAULT_PERIOD_S
        return self.initial_delay_seconds + period * (self.failure_threshold or DEFAULT_FAILURES)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if [self.http_get, self.tcp_socket, self.exec, self.grpc].count(None) != 3:
            raise ValueError("give exactly one of httpGet, tcpSocket, exec, grpc")
        if self.exec is not None and (self.period_seconds or DEFAULT_PERIOD_S) < MIN_EXEC_PERIOD_S:
            raise ValueError(
                f"a command is run every {MIN_EXEC_PERIOD_S} s at most: set periodSeconds higher"
            )
        return self
