# SPDX-License-Identifier: Apache-2.0
"""Connections from a publisher's machine to ports of a pod: many of them over one conversation.

Each connection has a number of the client's and is paced in both directions by whoever reads it, as a command
is (`messages/exec.py`): one whose reader pauses holds up neither the others nor the conversation.
"""

from typing import Annotated, Literal

from pydantic import Field

from trustedpods.protocol import limits
from trustedpods.protocol.messages.base import U32, U64, Bytes32, Message, ShortText, StreamVersion

MAX_PIECE = 64 * limits.KIB
"""Bytes of one connection in one message: few enough that many take turns, enough to be worth a message."""

WINDOW = 256 * limits.KIB
"""Bytes of one direction of a connection that may be on their way and not yet passed on."""

MAX_PORTS = 16
"""Ports of one conversation: what a person can keep apart."""

MAX_CONNECTIONS = 32
"""Connections of one conversation at once: a browser has six to each host. More are closed at once."""

TcpPort = Annotated[int, Field(ge=1, le=65535)]


class ForwardPort(Message):
    """A container's port; with *service* that service's port, which stands for a container's."""

    port: TcpPort
    service: ShortText | None = None


class ForwardBody(Message):
    """Connect to ports that the pod's manifest declares: of a ready replica, or always of one.

    Messages `ForwardInput` follow, sealed with *input_key* (`sealing/inputs.py`). *version* is that of these.
    """

    kind: Literal["forward"] = "forward"
    version: StreamVersion = 1
    ports: Annotated[list[ForwardPort], Field(min_length=1, max_length=MAX_PORTS)]
    input_key: Annotated[Bytes32, Field(repr=False)]
    replica: ShortText | None = None


class ForwardInput(Message):
    """From the client, about one connection.

    `open` begins it: the place of its port in the request's list. `data` is for the pod, `end` says that no
    more follows. `taken` counts what the connection's owner took of the pod's bytes. `close` throws it away.
    """

    kind: Literal["forward-input"] = "forward-input"
    connection: U32
    open: Annotated[int, Field(ge=0, lt=MAX_PORTS)] | None = None
    data: Annotated[bytes, Field(max_length=MAX_PIECE, repr=False)] = b""
    end: bool = False
    taken: U64 = 0
    close: bool = False


class ForwardStarted(Message):
    """Connections are taken: to these ports of containers, in the order of the request.

    What follows is sealed with *output_key* alone (`sealing/outputs.py`).
    """

    kind: Literal["forward-started"] = "forward-started"
    ports: Annotated[list[TcpPort], Field(max_length=MAX_PORTS)]
    output_key: Annotated[Bytes32, Field(repr=False)]


class ForwardOutput(Message):
    """From the pod, about one connection: the same the other way. `closed` says why there is no more."""

    kind: Literal["forward-output"] = "forward-output"
    connection: U32
    data: Annotated[bytes, Field(max_length=MAX_PIECE, repr=False)] = b""
    end: bool = False
    taken: U64 = 0
    closed: ShortText | None = None
