# SPDX-License-Identifier: Apache-2.0
"""How a container is told to end."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trustedpods.manifests.spec.part import DnsLabel, ManifestPart
from trustedpods.manifests.spec.probe import Exec, HttpGet

DEFAULT_GRACE_S = 30
"""Kubernetes' own: from the order to end until the kill."""

MAX_GRACE_S = 120
"""The room of a replica that ends is kept so long, and the next start waits for it: no longer than that a
provider waits for any start (its `start_limit_s`)."""


class Sleep(ManifestPart):
    """Waits, while the container goes on."""

    seconds: Annotated[int, Field(ge=1, le=MAX_GRACE_S)]


class PreStop(ManifestPart):
    """Run by the kubelet before the container gets SIGTERM; the pod's grace period runs meanwhile."""

    exec: Exec | None = None
    http_get: HttpGet | None = None
    sleep: Sleep | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if [self.exec, self.http_get, self.sleep].count(None) != 2:
            raise ValueError("give exactly one of exec, httpGet, sleep")
        return self


class Reload(ManifestPart):
    """How running replicas take rendered files that are others now (`onChange: reload`).

    Once the files are there, the first process of `container` gets `signal`, or the command of `exec` is run
    in it. The image must have `cat`, by which it is seen that the files came, and for a signal `kill`. Where
    the pod has one container only, that is meant.
    """

    container: DnsLabel | None = None
    signal: Literal["SIGHUP", "SIGUSR1", "SIGUSR2"] | None = None
    exec: Exec | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.signal is None) == (self.exec is None):
            raise ValueError("give either a signal or exec")
        return self

    @property
    def command(self) -> list[str]:
        """What is run in the container; a signal goes to its first process."""
        if self.exec is not None:
            return self.exec.command
        assert self.signal is not None
        return ["kill", f"-{self.signal.removeprefix('SIG')}", "1"]


class Lifecycle(ManifestPart):
    """What is done at the edges of a container's life."""

    pre_stop: PreStop
