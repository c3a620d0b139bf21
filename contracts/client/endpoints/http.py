# SPDX-License-Identifier: Apache-2.0
"""One node over HTTP: a bounded, thread-safe transport of JSON-RPC."""

import itertools
import json
import logging
import socket
import ssl
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from trustedpods.contracts.client.client_limits import ClientLimits
from trustedpods.protocol.errors import NetworkFailure

_asked = logging.getLogger("trustedpods.asked")
"""What is asked of whom, for who wants to see it; never what is signed, nor what opens the node."""

_ADVICE = "is `rpc` of the market file right, and is its node up? the same command may be run again"

_ADDRESS_HEX = len("0x") + 40
_BUSY_STATUS = frozenset({429, 502, 503, 504})
_LIMIT_EXCEEDED = -32005
"""EIP-1474: the node has had too many requests, or the answer would be too large."""


class Hiccup(NetworkFailure):
    """A failure that may be over at the next try."""


def _authorities(url: str) -> ssl.SSLContext | bool:
    """Who vouches for the node: reading them takes 20 ms, and an address without TLS asks nobody."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if url.lower().startswith("http:") else True


class HttpTransport:
    """JSON-RPC over one pooled httpx client; trouble is `NetworkFailure` at once."""

    def __init__(self, url: str, limits: ClientLimits) -> None:
        self._url = url
        self._limits = limits
        self._ids = itertools.count()
        self._client = httpx.Client(
            timeout=limits.request_s, follow_redirects=False, verify=_authorities(url)
        )
        self.close = weakref.finalize(self, self._client.close)

    def answer(self, method: str, params: Sequence[object]) -> Mapping[str, Any]:
        """The answer to one request, with a result or an error; what is not JSON-RPC counts as no answer."""
        number = next(self._ids)
        self._say("", method, params)
        body = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        answer = self.post(json.dumps(body).encode())
        if (
            not isinstance(answer, dict)
            or answer.get("jsonrpc") != "2.0"
            or ("result" in answer) == ("error" in answer)
        ):
            raise NetworkFailure("the chain node's answer is not JSON-RPC", where=self.place)
        self._check(answer, number)
        return answer

    def batch(self, requests: Sequence[Mapping[str, Any]]) -> Any:  # noqa: ANN401  JSON, as below
        """What came back for many requests at once, all alike but in what they ask."""
        self._say(f"{len(requests)} times ", requests[0]["method"], requests[0]["params"])
        return self.post(json.dumps(requests).encode())

    def post(self, body: bytes) -> Any:  # noqa: ANN401  JSON from outside: looked at by the caller
        """Send a request; what came back as parsed JSON, None when it is none."""
        try:
            raw = self._post(body)
        except httpx.HTTPError as error:
            dropped = isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError)
            again = dropped and not isinstance(error, httpx.ConnectError)
            raise (Hiccup if again else NetworkFailure)(
                f"the chain node does not answer: {self._trouble(error)}", where=self.place, hint=_ADVICE
            ) from None
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            return None

    def _say(self, times: str, method: str, params: Sequence[object]) -> None:
        """To who wants to see it; a daemon, which asks all day, finds no words for nobody."""
        if _asked.isEnabledFor(logging.DEBUG):
            _asked.debug("chain node %s: %s%s", self.place, times, _told_of(method, params))

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
            raise Hiccup(f"the chain node is over its limits: {text}", where=self.place)
        if error is None and answer.get("id") != number:
            raise NetworkFailure("the chain node answered another request", where=self.place)

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
                        "the chain node takes too long to answer", where=self.place, hint=_ADVICE
                    )
                if len(raw) > self._limits.answer_bytes:
                    raise NetworkFailure(
                        "the chain node's answer is too large", where=self.place, rule="node"
                    )
            if response.status_code >= 400 and not raw.lstrip().startswith((b"{", b"[")):
                busy = response.status_code in _BUSY_STATUS
                raise (Hiccup if busy else NetworkFailure)(
                    f"the chain node answered HTTP {response.status_code}", where=self.place
                )
            return bytes(raw)

    @property
    def place(self) -> str:
        """The node as it may be said: a password or the path may be what opens it."""
        url = httpx.URL(self._url)
        return f"{url.scheme}://{url.netloc.decode().rpartition('@')[2]}"


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


def _told_of(method: str, params: Sequence[object]) -> str:
    """A request as it may be said: its method, and the address that it is about."""
    first = params[0] if params else None
    about = first.get("to") if isinstance(first, dict) else first
    is_address = isinstance(about, str) and len(about) == _ADDRESS_HEX
    return f"{method} {about}" if is_address else method
