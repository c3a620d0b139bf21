# SPDX-License-Identifier: Apache-2.0
"""An authority that speaks ACME: its account, orders, challenges and certificates. Blocks: use a thread.

All else of this package is free of the library: what is said goes in and out as plain values, and every
failure is an `OrderFailure`, whatever the authority answers. It is believed nothing: only https is spoken,
redirects are not followed, and answers are bounded. Each call is a few requests; who waits, and how long, is
the caller.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import requests
from acme import challenges, client, errors, messages
from cryptography.hazmat.primitives.asymmetric import ec
from josepy import jwa, jwk

from trustedpods.provider.acme.failures import OrderFailure
from trustedpods.provider.core.certificates.types import FailureKind

SILENT_FOR_S = 20
"""Between two bytes of an answer. It is no bound of a whole call: that is `CALL_WITHIN_S`."""

CALL_WITHIN_S = 60.0
"""One call, of at most five requests; an authority that is this slow is asked again later."""

MAX_URL = 2048
"""An order's is kept in a small file."""

MAX_ANSWER = 1 << 20
"""A chain is under 20 KB, a directory under 2."""

_LATER = {"badNonce", "serverInternal", "connection", "dns", "externalAccountRequired", "orderNotReady"}
"""Problems that are not the order's own fault (RFC 8555, 6.7)."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order as the authority has it: `pending`, `ready`, `processing`, `valid` or `invalid`."""

    status: str
    authorizations: tuple[str, ...]
    problem: str


@dataclass(frozen=True, slots=True)
class NameProof:
    """What must be seen for one name: at `path` over http, or as the text of a TXT record.

    `status` is that of the name's authorization, `url` its own.
    """

    url: str
    name: str
    status: str
    token: str
    http_body: str
    dns_text: str
    problem: str


def _translated(
    call: "Callable[Concatenate[AcmeAccount, _P], _T]",
) -> "Callable[Concatenate[AcmeAccount, _P], _T]":
    """Every error, once, as ours: for an answer of a wrong shape the library raises what its parts raise."""

    @wraps(call)
    def translated(self: "AcmeAccount", /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return call(self, *args, **kwargs)
        except OrderFailure:
            raise
        except messages.Error as problem:
            raise self.failure(problem) from None
        except Exception as broken:  # noqa: BLE001 - one that escapes repeats the call for ever
            told = f"the authority does not answer as it should: {_line(broken)}"
            raise OrderFailure(told, FailureKind.LATER, rule="acme", where=self.directory_url) from None

    return translated


class AcmeAccount:
    """One account at one authority; `open` first. *root*: a file that its TLS is checked with."""

    def __init__(self, directory_url: str, key: ec.EllipticCurvePrivateKey, root: Path | None = None) -> None:
        self.directory_url = directory_url
        self._jwk = jwk.JWKEC(key=key)
        self._net = client.ClientNetwork(
            self._jwk, alg=jwa.ES256, user_agent="trusted-pods", timeout=SILENT_FOR_S
        )
        if root is not None:
            self._net.verify_ssl = str(root)  # type: ignore[assignment]  # requests takes a file's path too
        self._net.session.trust_env = False
        del self._net.session.adapters["http://"]
        self._net.session.hooks["response"].append(self._look_at)
        self._client: client.ClientV2 | None = None
        self._retry_s = 0

    def _look_at(self, response: requests.Response, **_: object) -> requests.Response:
        """Read a bounded body before the library reads any, and keep what it says of its rate."""
        try:
            body = _body(response)
        except Exception:  # a body that is cut or damaged too: those are errors of the library below
            response.close()
            raise
        response._content = body  # noqa: SLF001 - requests has no bound
        response._content_consumed = True  # type: ignore[attr-defined]  # noqa: SLF001
        self._retry_s = _seconds(response.headers.get("Retry-After", ""))
        return response

    @_translated
    def open(self, contact: tuple[str, ...]) -> None:
        """Find the account of our key, or make it; the operator has agreed to the terms."""
        directory = messages.Directory.from_json(self._net.get(self.directory_url).json())
        opened = client.ClientV2(directory, self._net)
        wanted = messages.NewRegistration(contact=contact, terms_of_service_agreed=True)
        try:
            opened.new_account(wanted)
        except errors.ConflictError as known:
            self._net.account = messages.RegistrationResource(
                body=messages.Registration(), uri=known.location
            )
        self._client = opened

    @property
    def _open(self) -> client.ClientV2:
        assert self._client is not None
        return self._client

    def _ask(self, url: str) -> requests.Response:
        """POST-as-GET: an empty, signed question."""
        nonces = self._open.directory["newNonce"]
        return self._net.post(url, None, new_nonce_url=nonces)

    @_translated
    def place(self, names: Sequence[str]) -> str:
        """Order for *names*; the order's URL. Not by the library, which asks for every authorization then."""
        found = self._open.directory
        wanted = [messages.Identifier(typ=messages.IDENTIFIER_FQDN, value=name) for name in names]
        order = messages.NewOrder(identifiers=wanted, profile="")
        placed = self._net.post(found["newOrder"], order, new_nonce_url=found["newNonce"])
        url = str(placed.headers.get("Location", ""))
        if not 0 < len(url) <= MAX_URL:
            raise ValueError("an order without a URL")
        return url

    @_translated
    def order(self, url: str) -> OrderView:
        """How far an order is."""
        body = self._order(url)
        problem = "" if body.error is None else _line(body.error)
        return OrderView(body.status.name, tuple(body.authorizations or ()), problem)

    def _order(self, url: str) -> messages.Order:
        found: messages.Order = messages.Order.from_json(self._ask(url).json())
        return found

    @_translated
    def proof(self, url: str, kind: str, names: Sequence[str]) -> NameProof:
        """What one authorization of an order for *names* asks for, as a challenge of *kind*.

        For a name that was not ordered it is LOST: names become those of records, and words of a hook's.
        """
        body = messages.Authorization.from_json(self._ask(url).json())
        name = body.identifier.value
        if name not in [one.removeprefix("*.") for one in names]:
            told = f"the authority asks for {_line(name)}, which was not ordered"
            raise OrderFailure(told, FailureKind.LOST, rule="acme", where=url)
        for one in body.challenges:
            if one.chall.typ == kind:
                break
        else:
            raise OrderFailure(
                f"the authority offers no {kind} for {name}", FailureKind.LOST, rule="acme", where=url
            )
        problem = "" if one.error is None else _line(one.error)
        token = one.chall.encode("token")
        text = one.chall.validation(self._jwk) if isinstance(one.chall, challenges.DNS01) else ""
        return NameProof(
            url, name, body.status.name, token, one.chall.key_authorization(self._jwk), text, problem
        )

    @_translated
    def say_ready(self, url: str, kind: str) -> None:
        """What the authorization asks for can be seen now."""
        body = messages.Authorization.from_json(self._ask(url).json())
        for one in body.challenges:
            if one.chall.typ == kind and one.status == messages.STATUS_PENDING:
                self._open.answer_challenge(one, one.chall.response(self._jwk))

    @_translated
    def finalize(self, url: str, request: bytes) -> None:
        """Have the certificate made, for the key of the signing request."""
        self._open.begin_finalization(messages.OrderResource(body=self._order(url), uri=url, csr_pem=request))

    @_translated
    def certificate(self, url: str) -> bytes:
        """The chain (PEM) of an order that is `valid`."""
        body = self._order(url)
        if body.certificate is None:
            raise ValueError("a valid order without a certificate")
        return bytes(self._ask(body.certificate).content)

    @_translated
    def suggestion(self, chain: bytes) -> tuple[int | None, int]:
        """When the authority wants a certificate (PEM) renewed, and when to ask again: RFC 9773."""
        renew, ask_again = self._open.renewal_time(chain)
        return None if renew is None else int(renew.timestamp()), int(ask_again.timestamp())

    def failure(self, problem: messages.Error) -> OrderFailure:
        """What a problem document means for the order."""
        code = problem.code or ""
        kind = FailureKind.LATER if code in _LATER else FailureKind.LOST
        kind = FailureKind.RATE if code == "rateLimited" else kind
        retry = self._retry_s if kind is not FailureKind.LOST else 0
        return OrderFailure(
            f"the authority says: {_line(problem)}",
            kind,
            rule="acme",
            where=self.directory_url,
            retry_s=retry,
        )


def _body(response: requests.Response) -> bytes:
    """All that was answered; RequestException where that is too long, or leads elsewhere."""
    if response.is_redirect:
        raise requests.RequestException(f"{response.url} leads elsewhere")
    body = bytes(response.raw.read(MAX_ANSWER + 1, decode_content=True))
    if len(body) > MAX_ANSWER:
        raise requests.RequestException("an answer is too long")
    return body


def _seconds(header: str) -> int:
    """Retry-After: seconds, or a date."""
    if header.isascii() and header.isdigit():
        return int(header[:9])  # years: who reads it has a bound
    try:
        return max(0, int(parsedate_to_datetime(header).timestamp() - time.time()))
    except (TypeError, ValueError, AttributeError, OverflowError):
        return 0


def _line(problem: object) -> str:
    """The words of an error, on one line and bounded: they are the authority's."""
    if isinstance(problem, messages.Error):
        parts = [str(problem.code or problem.typ or ""), str(problem.detail or "")]
        parts += [
            f"{sub.identifier.value if sub.identifier else ''}: {sub.detail}"
            for sub in problem.subproblems or ()
        ]
        text = ": ".join(part for part in parts if part)
    else:
        text = str(problem) or type(problem).__name__
    return json.dumps(" ".join(text.split())[:400], ensure_ascii=False).strip('"')
