# SPDX-License-Identifier: Apache-2.0
"""A pod's encrypted link to the nodes of its network that it calls."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from trustedpods.manifests.spec.part import STRICT, DnsLabel, Port

MAX_OPENED = 64
"""Ports that are open to peers: as many as all services of a pod may have (`deploy/tunnel/device`)."""


class TunnelPort(BaseModel):
    """A container's port that peers may call by the tunnel."""

    model_config = STRICT

    port: Port
    protocol: Literal["TCP", "UDP"] = "TCP"


class Tunnel(BaseModel):
    """The link to those of `nodes` that have one too: each is called at NODE.tunnel.NETWORK.internal.

    `service` is the one of the pod's services, of one UDP port, at which the others' links reach this one; it
    has the same name in all of them. `opens` are the ports that they may call, which need no service.
    """

    model_config = STRICT

    service: DnsLabel
    opens: Annotated[list[TunnelPort], Field(max_length=MAX_OPENED)] = []
