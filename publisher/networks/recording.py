# SPDX-License-Identifier: Apache-2.0
"""A command in a network's history: its begin goes with its first write, its end with its last one.

So a command that writes once costs nothing more, and one that was killed between two writes stands there
unfinished.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.protocol.ids import address_bytes
from trustedpods.protocol.networks.content import NetworkContent, begun, ended
from trustedpods.protocol.networks.documents import NOTHING, Document
from trustedpods.protocol.networks.history import MAX_TEXT, Argument
from trustedpods.protocol.networks.members import MemberCard, MemberChange, NetworkName
from trustedpods.publisher.core.networks.history import DONE
from trustedpods.publisher.market.session import Publisher
from trustedpods.publisher.networks.holding import HeldNetwork
from trustedpods.publisher.networks.states import MemberView, first_again, founded_body, next_body, read_state

FAILED: Final = "failed"
"""The result of a command that ended by an error that is none of ours. Ctrl-C leaves it unfinished."""


class RecordedChange:
    """The state under all leases, and writes that put this command into its history."""

    def __init__(
        self,
        held: HeldNetwork,
        publisher: Publisher,
        network: NetworkName,
        verb: str,
        arguments: Sequence[Argument],
    ) -> None:
        self._held, self._publisher, self._network = held, publisher, network
        self._verb, self._arguments = verb, list(arguments)
        self._begun = self._ended = False
        self.state = None if held.document == NOTHING else read_state(publisher, network, held.document)

    @property
    def document(self) -> Document:
        """What counts now on all copies; generation 0 where nothing was written yet."""
        return self._held.document

    async def write(
        self,
        content: NetworkContent,
        *,
        changes: Sequence[MemberChange] = (),
        cards: Sequence[MemberCard] = (),
        result: str | None = None,
        members_of: MemberView | None = None,
    ) -> MemberView:
        """Let *content* be the next state; with *result* it is the command's last write.

        What *content* says of history counts where the command has written nothing yet, else what stands
        there already. *changes* and *cards* as of `states.next_body`. Where there is no state yet, the team
        is that of *members_of*, or the founder alone. Raises as `HeldNetwork.write`.
        """
        content = self._with_record(content, int(time.time()), result)
        if self.state is not None:
            body = next_body(self._publisher, self.state, content, changes, cards)
        elif members_of is not None:
            body = first_again(self._publisher, members_of, content)
        else:
            body = founded_body(self._publisher, self._network, content)
        document = await self._held.write(body)
        self._begun, self._ended = True, result is not None
        self.state = read_state(self._publisher, self._network, document)
        return self.state

    async def end(self, result: str) -> None:
        """Write the command's end, where it wrote its begin and no end."""
        if self._begun and not self._ended and self.state is not None:
            await self.write(self.state.content, result=result)

    def _with_record(self, content: NetworkContent, at: int, result: str | None) -> NetworkContent:
        generation = self._held.document.generation + 1
        if self._begun and self.state is not None:
            written = self.state.content
            content = content.model_copy(update={"history": written.history, "dropped": written.dropped})
        else:
            by = address_bytes(self._publisher.address)
            content = begun(content, at, by, self._verb, self._arguments, generation)
        return content if result is None else ended(content, at, result[:MAX_TEXT], generation)


@asynccontextmanager
async def recorded(
    held: HeldNetwork,
    publisher: Publisher,
    network: NetworkName,
    verb: str,
    arguments: Sequence[Argument],
) -> AsyncIterator[RecordedChange]:
    """A command under the leases of *held*; what it writes stands in the history with how it ended.

    Errors are told by their kind and rule: what they quote may be anything. The end of a command that
    lost its leases cannot be written, so it stays unfinished, as one that was killed or ended by Ctrl-C.
    """
    change = RecordedChange(held, publisher, network, verb, arguments)
    try:
        yield change
    except TrustedPodsError as error:
        await _end_after(change, f"{type(error).__name__} {error.rule or ''}".strip())
        raise
    except Exception:
        await _end_after(change, FAILED)
        raise
    await change.end(DONE)


async def _end_after(change: RecordedChange, result: str) -> None:
    try:
        await change.end(result)
    except TrustedPodsError:
        return  # the command's own error is what is told
