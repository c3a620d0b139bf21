# SPDX-License-Identifier: Apache-2.0
"""One question to a signer on this machine, as JSON-RPC over a unix socket or loopback HTTP. Blocking.

Whoever answers may be any program: the answer is bounded, and waited for no longer than is said.
"""

import ipaddress
import json
import queue
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import trio

from trustedpods.protocol.errors import BadInput, NetworkFailure, Refused

ANSWER_BYTES = 1024 * 1024
"""Nodes take transactions of 128 KiB; a signer answers with one in hex, often with its fields beside it."""

CONNECT_S = 5.0
"""A program on this machine takes a connection at once, or is not there."""

_LOOK_S = 0.1
"""So often it is seen whether the caller still waits."""

_PIECE = 64 * 1024
_AWAY_HINT = "is it running, and is this its address? Nothing was sent; the same command again is safe"


@dataclass(frozen=True, slots=True)
class SignerError(Exception):
    """The signer's own error, as it came."""

    code: object
    message: str


class SignerWire:
    """A signer at *place*: the path of its unix socket, or an http address of this machine.

    An answer is waited for *limit_s* seconds. `BadInput` for an address of another machine: what is asked and
    answered there would cross the network in clear.
    """

    def __init__(self, place: str, limit_s: float, answer_bytes: int = ANSWER_BYTES) -> None:
        self.place = check_place(place)
        self.limit_s = limit_s
        self._answer_bytes = answer_bytes

    def ask(self, method: str, params: Sequence[object]) -> Any:  # noqa: ANN401  JSON from outside
        """The result. Raises `SignerError` with the signer's own error.

        `NetworkFailure` (rules `signer-away`, `signer-silent`) where none comes, `Refused` (`signer-answer`)
        for what is no answer.
        """
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        http = self.place.startswith("http://")
        exchange = _HttpExchange(self.place) if http else _SocketExchange(self.place)
        raw = _patiently(lambda: exchange.run(body, self.limit_s, self._answer_bytes), exchange.end, self)
        return self._result(raw)

    def silent(self) -> NetworkFailure:
        """That nothing came in time."""
        return NetworkFailure(
            f"the signer did not answer within {self.limit_s:g} s",
            where=self.place,
            rule="signer-silent",
            hint="nothing was sent; run the same again, and confirm on the device (--wait waits longer)",
        )

    def _result(self, raw: bytes) -> Any:  # noqa: ANN401  as above
        try:
            answer = json.loads(raw)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict) or answer.get("id") != 1 or not {"result", "error"} & answer.keys():
            raise bad_answer(self.place, "it is not JSON-RPC")
        error = answer.get("error")
        if error is not None:
            told: Mapping[str, Any] = error if isinstance(error, dict) else {"message": error}
            text = "".join(one for one in str(told.get("message") or "no reason") if one.isprintable())
            raise SignerError(told.get("code"), text[:200])
        return answer.get("result")


class _SocketExchange:
    """Over a unix socket: the answer ends where its JSON does."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def run(self, body: bytes, limit_s: float, most: int) -> bytes:
        with self._socket as connection:
            connection.settimeout(CONNECT_S)
            try:
                connection.connect(self._place)
                connection.sendall(body + b"\n")
                connection.settimeout(limit_s)
                return self._read(connection, most)
            except TimeoutError:
                raise
            except OSError as error:
                raise _away(self._place, error.strerror or type(error).__name__) from None

    def _read(self, connection: socket.socket, most: int) -> bytes:
        raw = bytearray()
        while piece := connection.recv(_PIECE):
            raw += piece
            if len(raw) > most:
                raise bad_answer(self._place, f"it is longer than {most} bytes")
            if piece.rstrip().endswith(b"}") and _is_json(raw):
                return bytes(raw)
        raise _away(self._place, "it hung up")

    def end(self) -> None:
        """Let `run` end at once."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            self._socket.close()


class _HttpExchange:
    """Over HTTP of this machine."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._client = httpx.Client(trust_env=False, follow_redirects=False)
        self._ended = False

    def run(self, body: bytes, limit_s: float, most: int) -> bytes:
        headers = {"content-type": "application/json", "accept-encoding": "identity"}
        timeout = httpx.Timeout(limit_s, connect=CONNECT_S)
        raw = bytearray()
        try:
            with (
                self._client as client,
                client.stream(
                    "POST", self._place, content=body, headers=headers, timeout=timeout
                ) as response,
            ):
                for piece in response.iter_raw():
                    raw += piece
                    if len(raw) > most:
                        raise bad_answer(self._place, f"it is longer than {most} bytes")
                    if self._ended:
                        break
        except httpx.ConnectTimeout:
            raise _away(self._place, "it takes no connection") from None
        except httpx.TimeoutException:
            raise TimeoutError from None
        except httpx.HTTPError as error:
            raise _away(self._place, type(error).__name__) from None
        return bytes(raw)

    def end(self) -> None:
        """Let `run` end with the next piece."""
        self._ended = True


def check_place(place: str) -> str:
    """A signer's address as it is used; `BadInput` when it is neither a path nor of this machine."""
    if place.startswith("/"):
        return place
    try:
        parts = urlsplit(place)
        host = parts.hostname or ""
        sound = parts.scheme == "http" and parts.port != 0
        sound = sound and "@" not in parts.netloc  # errors and contexts would repeat a password
        near = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        sound = near = False
    if not (sound and near):
        raise BadInput(
            f"not a signer on this machine: {place[:128].rpartition('@')[2]!r}",
            hint="the path of its socket (/run/user/1000/clef.ipc), or http://127.0.0.1:8550",
        )
    return place


def bad_answer(place: str, what: str) -> Refused:
    """That the answer is none, or is not to what was asked."""
    return Refused(
        f"the signer's answer is not used: {what}",
        where=place,
        rule="signer-answer",
        hint="nothing was sent; sign what is asked for as it is, with the account that is named",
    )


def _away(place: str, why: str) -> NetworkFailure:
    return NetworkFailure(
        f"the signer cannot be reached: {why}", where=place, rule="signer-away", hint=_AWAY_HINT
    )


def _is_json(raw: bytes | bytearray) -> bool:
    try:
        json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return True


def _patiently(work: Callable[[], bytes], end: Callable[[], None], wire: SignerWire) -> bytes:
    """Run *work* in a thread of its own, and leave it when the time is over or the caller was cancelled."""
    answers: queue.SimpleQueue[bytes | BaseException] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put(work())
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            answers.put(error)

    until = time.monotonic() + wire.limit_s
    threading.Thread(target=run, name="signer", daemon=True).start()
    try:
        while (left := until - time.monotonic()) > 0:
            _stop_if_cancelled()
            try:
                answer = answers.get(timeout=min(_LOOK_S, left))
            except queue.Empty:
                continue
            if isinstance(answer, TimeoutError):
                break
            if isinstance(answer, BaseException):
                raise answer
            return answer
        raise wire.silent()
    finally:
        end()


def _stop_if_cancelled() -> None:
    """Raise where the task that waits for this thread was cancelled: Ctrl-C, mostly."""
    try:
        trio.from_thread.check_cancelled()
    except RuntimeError:
        return  # no thread of trio's
