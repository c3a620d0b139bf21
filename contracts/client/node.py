# SPDX-License-Identifier: Apache-2.0
"""A chain's node, or several that must agree, under trio: what blocks is asked in threads."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import trio

from trustedpods.contracts.client.client_limits import USUAL, ClientLimits
from trustedpods.contracts.client.endpoints.http import Hiccup, HttpTransport
from trustedpods.contracts.client.endpoints.several import SeveralNodes
from trustedpods.contracts.client.endpoints.standings import NodeStanding
from trustedpods.contracts.client.errors import RpcError, refusal, translated
from trustedpods.contracts.client.rpc.methods import Methods
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.ids import Address

T = TypeVar("T")

_SELECTOR_HEX = len("0x12345678")


class Node:
    """One node: `eth` has its methods; `read` and `write` are how all that blocks is called from trio."""

    def __init__(
        self, rpc_url: str | Sequence[str], limits: ClientLimits = USUAL, agree: int | None = None
    ) -> None:
        """Of several addresses *agree* must say the same, more than half where it is None."""
        urls = [rpc_url] if isinstance(rpc_url, str) else list(rpc_url)
        for url in urls:
            if not url.startswith(("http://", "https://")):
                raise NetworkFailure(
                    "the address of the chain node is none of HTTP",
                    hint="`rpc` of the market file begins with https:// (or http:// on this machine)",
                )
        nodes = [HttpTransport(url, limits) for url in urls]
        self.place = nodes[0].place
        self._transport = nodes[0] if len(nodes) == 1 else SeveralNodes(nodes, limits, agree)
        self.eth = Methods(partial(_result, self._transport))
        self.url = urls[0]
        self.limits = limits
        self._readers = trio.CapacityLimiter(limits.reads_at_once)
        self._writers = trio.CapacityLimiter(limits.writes_at_once)

    def standings(self) -> tuple[NodeStanding, ...]:
        """How each of several nodes fares; nothing where there is one."""
        return self._transport.standings() if isinstance(self._transport, SeveralNodes) else ()

    def close(self) -> None:
        """Drop the connections; safe to call twice."""
        self._transport.close()

    async def read(self, function: Callable[..., T], *arguments: object, **options: object) -> T:
        """Run a blocking read in a thread, again after a hiccup; a cancelled caller does not wait for it."""
        for pause in self.limits.read_pauses_s:
            try:
                return await self.read_once(function, *arguments, **options)
            except Hiccup:
                await trio.sleep(pause)
        return await self.read_once(function, *arguments, **options)

    async def read_once(self, function: Callable[..., T], *arguments: object, **options: object) -> T:
        """The same without a second try, where the answer to a failure is another question."""
        task = partial(_guarded, function, *arguments, **options)
        return await trio.to_thread.run_sync(  # type: ignore[call-arg]  # old stubs
            task, abandon_on_cancel=True, limiter=self._readers
        )

    def eth_call(self, to: Address, data: bytes, block: int | None = None) -> bytes:
        """A view's answer as bare bytes; blocking, for `read`.

        *block* None is the newest. Raises what the contract says when it reverts, `NetworkFailure`
        with the rule "node" when the node will not run it (out of gas, too large an answer).
        """
        return _told(self._transport.answer("eth_call", _view(to, data, block)))

    def eth_calls(self, to: Address, calls: Sequence[bytes], block: int) -> list[bytes]:
        """The same for many small calls in one request; "node" also where batches are not served."""
        bodies = [
            {"jsonrpc": "2.0", "id": place, "method": "eth_call", "params": _view(to, data, block)}
            for place, data in enumerate(calls)
        ]
        answers = self._transport.batch(bodies)
        by_id = {one.get("id"): one for one in answers if isinstance(one, dict)} if answers else {}
        if by_id.keys() != set(range(len(calls))):
            raise NetworkFailure("the chain node does not serve batches", where=self.place, rule="node")
        return [_told(by_id[place]) for place in range(len(calls))]

    async def write(self, function: Callable[..., T], *arguments: object, **options: object) -> T:
        """Run a blocking write in a thread, to its end: what was sent must be known."""
        task = partial(_guarded, function, *arguments, **options)
        return await trio.to_thread.run_sync(task, limiter=self._writers)


def _guarded(function: Callable[..., T], *arguments: object, **options: object) -> T:
    with translated():
        return function(*arguments, **options)


def _result(transport: HttpTransport | SeveralNodes, method: str, params: Sequence[object]) -> Any:  # noqa: ANN401
    """The result of one request, JSON; `RpcError` is the node's own error."""
    answer = transport.answer(method, params)
    error = answer.get("error")
    if error is not None:
        raise RpcError(error if isinstance(error, dict) else {"message": str(error)})
    return answer["result"]


def _view(to: Address, data: bytes, block: int | None) -> list[object]:
    return [{"to": to, "data": "0x" + data.hex()}, "latest" if block is None else hex(block)]


def _told(answer: Mapping[str, Any]) -> bytes:
    error, result = answer.get("error"), answer.get("result")
    if error is not None:
        details = error if isinstance(error, dict) else {}
        revert = details.get("data")
        if isinstance(revert, str) and len(revert) >= _SELECTOR_HEX:
            raise refusal(bytes.fromhex(revert[2:]))
        text = str(details.get("message", error))[:300]
        raise NetworkFailure(f"the chain node failed: {text}", rule="node")
    if not isinstance(result, str) or not result.startswith("0x"):
        raise NetworkFailure("the chain node's answer makes no sense")
    return bytes.fromhex(result[2:])
