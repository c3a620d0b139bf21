# SPDX-License-Identifier: Apache-2.0
"""One chain node over HTTP: a bounded, thread-safe transport of JSON-RPC, and trio above it."""

import itertools
import json
import logging
import socket
import ssl
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import httpx
import trio

from trustedpods.contracts.client.client_limits import USUAL, ClientLimits
from trustedpods.contracts.client.errors import RpcError, refusal, translated
from trustedpods.contracts.client.rpc.methods import Methods
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.ids import Address

T = TypeVar("T")

_asked = logging.getLogger("trustedpods.asked")
"""What is asked of whom, for who wants to see it; never what is signed, nor what opens the node."""

_ADVICE = "is `rpc` of the market file right, and is its node up? the same command may be run again"

_SELECTOR_HEX = len("0x12345678")
_ADDRESS_HEX = len("0x") + 40
_BUSY_STATUS = frozenset({429, 502, 503, 504})
_LIMIT_EXCEEDED = -32005
"""EIP-1474: the node has had too many requests, or the answer would be too large."""


class _Hiccup(NetworkFailure):
    """A failure that may be over at the next try."""


class _HttpTransport:
    """JSON-RPC over one pooled httpx client; trouble is `NetworkFailure` at once."""

    def __init__(self, url: str, limits: ClientLimits) -> None:
        self._url = url
        self._limits = limits
        self._ids = itertools.count()
        self._client = httpx.Client(timeout=limits.request_s, follow_redirects=False)
        self.close = weakref.finalize(self, self._client.close)

    def ask(self, method: str, params: Sequence[object]) -> Any:  # noqa: ANN401  JSON, as above
        """The result of one request; `RpcError` is the node's own error."""
        answer = self.answer(method, params)
        error = answer.get("error")
        if error is not None:
            raise RpcError(error if isinstance(error, dict) else {"message": str(error)})
        return answer["result"]

    def answer(self, method: str, params: Sequence[object]) -> Mapping[str, Any]:
        """The answer to one request, with a result or an error; what is not JSON-RPC counts as no answer."""
        number = next(self._ids)
        _asked.debug("chain node %s: %s", self, _told_of(method, params))
        body = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        answer = self.post(json.dumps(body).encode())
        if (
            not isinstance(answer, dict)
            or answer.get("jsonrpc") != "2.0"
            or ("result" in answer) == ("error" in answer)
        ):
            raise NetworkFailure("the chain node's answer is not JSON-RPC", where=self.place())
        self._check(answer, number)
        return answer

    def post(self, body: bytes) -> Any:  # noqa: ANN401  JSON from outside: looked at by the caller
        """Send a request; what came back as parsed JSON, None when it is none."""
        try:
            raw = self._post(body)
        except httpx.HTTPError as error:
            dropped = isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError)
            again = dropped and not isinstance(error, httpx.ConnectError)
            raise (_Hiccup if again else NetworkFailure)(
                f"the chain node does not answer: {self._trouble(error)}", where=self.place(), hint=_ADVICE
            ) from None
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            return None

    def _trouble(self, error: httpx.HTTPError) -> str:
        if isinstance(error, httpx.ConnectError):
            return _unreached(error)
        if isinstance(error, httpx.TimeoutException):
            return f"nothing came within {self._limits.request_s:g} s"
        return "the connection broke off"

    def _check(self, answer: dict[str, object], number: int) -> None:
        """An error that asks for patience is a hiccup; a result must be that of this request."""
        error = answer.get("error")
        if isinstance(error, dict) and error.get("code") == _LIMIT_EXCEEDED:
            text = str(error.get("message"))[:200]
            raise _Hiccup(f"the chain node is over its limits: {text}", where=self.place())
        if error is None and answer.get("id") != number:
            raise NetworkFailure("the chain node answered another request", where=self.place())

    def _post(self, body: bytes) -> bytes:
        # Not packed: what a piece unpacks to has no bound. httpx bounds each read, and a node may drip.
        headers = {"content-type": "application/json", "accept-encoding": "identity"}
        until = time.monotonic() + self._limits.request_s
        with self._client.stream("POST", self._url, content=body, headers=headers) as response:
            raw = bytearray()
            for piece in response.iter_raw():
                raw += piece
                if time.monotonic() > until:
                    raise NetworkFailure(
                        "the chain node takes too long to answer", where=self.place(), hint=_ADVICE
                    )
                if len(raw) > self._limits.answer_bytes:
                    raise NetworkFailure(
                        "the chain node's answer is too large", where=self.place(), rule="node"
                    )
            if response.status_code >= 400 and not raw.lstrip().startswith((b"{", b"[")):
                busy = response.status_code in _BUSY_STATUS
                raise (_Hiccup if busy else NetworkFailure)(
                    f"the chain node answered HTTP {response.status_code}", where=self.place()
                )
            return bytes(raw)

    def __str__(self) -> str:
        return self.place()

    def place(self) -> str:
        """The node as it may be said: a password or the path may be what opens it."""
        url = httpx.URL(self._url)
        return f"{url.scheme}://{url.netloc.decode().rpartition('@')[2]}"


class Node:
    """One node: `eth` has its methods; `read` and `write` are how all that blocks is called from trio."""

    def __init__(self, rpc_url: str, limits: ClientLimits = USUAL) -> None:
        if not rpc_url.startswith(("http://", "https://")):
            raise NetworkFailure(
                "the address of the chain node is none of HTTP",
                hint="`rpc` of the market file begins with https:// (or http:// on this machine)",
            )
        self._transport = _HttpTransport(rpc_url, limits)
        self.eth = Methods(self._transport.ask)
        self.url = rpc_url
        self.limits = limits
        self._readers = trio.CapacityLimiter(limits.reads_at_once)
        self._writers = trio.CapacityLimiter(limits.writes_at_once)

    @property
    def place(self) -> str:
        """The node as it may be said: without what may open it."""
        return self._transport.place()

    def close(self) -> None:
        """Drop the connections; safe to call twice."""
        self._transport.close()

    async def read(self, function: Callable[..., T], *arguments: object, **options: object) -> T:
        """Run a blocking read in a thread, again after a hiccup; a cancelled caller does not wait for it."""
        for pause in self.limits.read_pauses_s:
            try:
                return await self.read_once(function, *arguments, **options)
            except _Hiccup:
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
        told = _told_of("eth_call", _view(to, b"", block))
        _asked.debug("chain node %s: %d times %s", self._transport, len(calls), told)
        answers = self._transport.post(json.dumps(bodies).encode())
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


def _unreached(error: BaseException) -> str:
    """Why there is no connection: httpx keeps what the system said behind its own error."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return "its name is not found"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message})"
        if isinstance(cause, ssl.SSLError):
            return "it does not speak TLS as it must"
        if isinstance(cause, ConnectionRefusedError):
            return "nobody accepts connections there"
        cause = cause.__cause__ or cause.__context__
    return "it cannot be reached from here"


def _view(to: Address, data: bytes, block: int | None) -> list[object]:
    return [{"to": to, "data": "0x" + data.hex()}, "latest" if block is None else hex(block)]


def _told_of(method: str, params: Sequence[object]) -> str:
    """A request as it may be said: its method, and the address that it is about."""
    first = params[0] if params else None
    about = first.get("to") if isinstance(first, dict) else first
    is_address = isinstance(about, str) and len(about) == _ADDRESS_HEX
    return f"{method} {about}" if is_address else method


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
