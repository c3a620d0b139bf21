# SPDX-License-Identifier: Apache-2.0
"""Where a pod asks for its own sleep: a POST from one of its replicas, known by its address.

A pod that has done its work need not be paid for until `idleAfter` is over. Nothing in flight is cut: the
pod sleeps when its requests have ended, the one among them in which it asked.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import h11
import trio

from trustedpods.manifests.spec.scale import SLEEP_PATH
from trustedpods.protocol.ids import Address
from trustedpods.protocol.limits import KIB
from trustedpods.provider.cluster.views import PodView
from trustedpods.provider.core.scaler import types
from trustedpods.provider.names.talks import Talks
from trustedpods.provider.serving.pod_scaler import PodScaler

if TYPE_CHECKING:
    from trio_typing import TaskStatus

TALK_S = 5.0
"""For one connection, which carries one request without a body."""

MAX_HEAD = 4 * KIB
"""Bytes of its head."""

MAX_BODY = 4 * KIB
"""Bytes of a body, which is not looked at."""

ASKED: Final = (202, "the pod sleeps as soon as nothing is in flight")
NOWHERE: Final = (404, f"there is POST {SLEEP_PATH} alone")
NOBODY: Final = (403, "no replica of a pod has this address")
NOT_AWAKE: Final = (409, "the pod is not awake, or always runs")


class OwnSleep:
    """*at* gives the replica that has an address, *scaler_of* the scaler of the pod with a host label.

    *publisher_of* says whose that pod is: what one publisher's pods may hold, they hold together.
    """

    def __init__(
        self,
        at: Callable[[str], PodView | None],
        scaler_of: Callable[[str], PodScaler | None],
        publisher_of: Callable[[str], Address | None],
    ) -> None:
        self._at = at
        self._scaler_of = scaler_of
        self._publisher_of = publisher_of
        self.talks = Talks(self._converse, TALK_S, h11.ProtocolError, owner_of=self.owner)

    def owner(self, address: str) -> Address | None:
        """The publisher whose pod has *address*; None where no replica has it."""
        view = self._at(address)
        return None if view is None else self._publisher_of(view.label)

    def ask(self, address: str) -> tuple[int, str]:
        """Status and text for whoever asks from *address*."""
        view = self._at(address)
        pod_scaler = None if view is None else self._scaler_of(view.label)
        if view is None or pod_scaler is None or pod_scaler.published.namespace != view.namespace:
            return NOBODY
        pod_scaler.feed(types.SleepAsked())
        return ASKED if pod_scaler.state.sleepy else NOT_AWAKE

    async def _converse(self, stream: trio.SocketStream, sender: str) -> None:
        """One request, one answer."""
        line = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        request, body = None, 0
        while not isinstance(event := line.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                line.receive_data(await stream.receive_some(MAX_HEAD))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += len(event.data)
            else:
                return
            if body > MAX_BODY:
                return
        asks = request is not None and (request.method, request.target) == (b"POST", SLEEP_PATH.encode())
        status, text = self.ask(sender) if asks else NOWHERE
        said = f"{text}\n".encode()
        fields = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(said))),
            ("Connection", "close"),
        ]
        answer = h11.Response(status_code=status, headers=fields)
        pieces = [line.send(part) or b"" for part in (answer, h11.Data(data=said), h11.EndOfMessage())]
        await stream.send_all(b"".join(pieces))


async def serve_own_sleep(
    own_sleep: OwnSleep,
    place: tuple[str, int],
    *,
    task_status: "TaskStatus[None]" = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer at *place* until cancelled; OSError where somebody else listens there."""
    address, port = place
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio.serve_tcp, own_sleep.talks.talk, port, host=address))
        task_status.started()
