# SPDX-License-Identifier: Apache-2.0
"""One node over HTTP: a bounded, thread-safe transport of JSON-RPC."""

import itertools
import json
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from trustedpods.contracts.client.client_limits import ClientLimits
from trustedpods.protocol.errors import NetworkFailure

_BUSY_STATUS = frozenset({429, 502, 503, 504})
_LIMIT_EXCEEDED = -32005
"""EIP-1474: the node has had too many requests, or the answer would be too large."""


class Hiccup(NetworkFailure):
    """A failure that may be over at the next try."""


class HttpTransport:
    """JSON-RPC over one pooled httpx client; trouble is `NetworkFailure` at once."""

    def __init__(self, url: str, limits: ClientLimits) -> None:
        self._url = url
        self._limits = limits
        self._ids = itertools.count()
        self._client = httpx.Client(timeout=limits.request_s, follow_redirects=False)
        self.close = weakref.finalize(self, self._client.close)

    def answer(self, method: str, params: Sequence[object]) -> Mapping[str, Any]:
        """The answer to one request, with a result or an error; what is not JSON-RPC counts as no answer."""
        number = next(self._ids)
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

    def batch(self, requests: Sequence[object]) -> Any:  # noqa: ANN401  JSON, as below
        """What came back for many requests at once."""
        return self.post(json.dumps(requests).encode())

    def post(self, body: bytes) -> Any:  # noqa: ANN401  JSON from outside: looked at by the caller
        """Send a request; what came back as parsed JSON, None when it is none."""
        try:
            raw = self._post(body)
        except httpx.HTTPError as error:
            dropped = isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError)
            again = dropped and not isinstance(error, httpx.ConnectError)
            raise (Hiccup if again else NetworkFailure)(
                f"the chain node does not answer ({type(error).__name__})", where=self.place
            ) from None
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            return None

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
                    raise NetworkFailure("the chain node takes too long to answer", where=self.place)
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
        """What errors call the node: no secret of its address is in it."""
        url = httpx.URL(self._url)  # the path may hold an API key
        return f"{url.scheme}://{url.netloc.decode().rpartition('@')[2]}"
