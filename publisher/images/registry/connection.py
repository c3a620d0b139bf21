# SPDX-License-Identifier: Apache-2.0
"""The door to a registry: the distribution API over HTTP, with tokens, redirects and retries.

A library of registries (oras) was weighed: it brings a second HTTP library, resumes nothing, and bounds
neither sizes nor time.
"""

import base64
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeVar

import httpx

from trustedpods.protocol.errors import BadInput, NetworkFailure, TrustedPodsError
from trustedpods.protocol.images.descriptors import INDEX_TYPES, MANIFEST_TYPES, Descriptor
from trustedpods.protocol.images.references import HUB, ImageReference
from trustedpods.protocol.images.strict_json import MAX_JSON, parse_object
from trustedpods.protocol.limits import KIB
from trustedpods.publisher.images.registry.challenges import checked_realm, is_loopback, parse_challenge
from trustedpods.publisher.images.registry.credentials import Credentials, credentials_of

T = TypeVar("T")

_asked = logging.getLogger("trustedpods.asked")
"""What is asked of whom, for who wants to see it."""

_HUB_API = "registry-1.docker.io"
"""Where docker.io answers."""

MAX_REDIRECTS = 5
"""Docker Hub has one, cloud stores two."""

MAX_TOKEN_ANSWER = 64 * KIB
"""Bytes of a token server's answer; real ones have some 5 KiB."""

LEAST_RATE = 4 * KIB
"""Bytes a second: a registry that is slower in the mean is given up, and what came is kept."""

_ACCEPT = ", ".join(sorted(INDEX_TYPES | MANIFEST_TYPES))
_MOVED = frozenset((301, 302, 303, 307, 308))
_LATER = frozenset((408, 425, 429, 500, 502, 503, 504))


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a registry is waited for; in seconds."""

    attempts: int = 4
    first_pause: float = 0.5
    """Before the second attempt; doubled before each that follows."""
    longest_pause: float = 30.0
    """A registry that asks for more than this is not waited for."""
    answer: float = 30.0
    """Until it is reached, and for each piece of an answer."""
    pause: Callable[[float], None] = time.sleep


_KNOWS_NO_REFERRERS = frozenset((400, 405, 406, 501))
"""Answers, beside 404, of registries that are older than the question for referrers."""


class NoSuchImage(BadInput):
    """The registry has nothing under that name or digest."""


class _Answered(NetworkFailure):
    """The registry's answer has a *status* that means no good."""

    status = 0

    @classmethod
    def of(cls, status: int, where: str) -> Self:
        """Made here, so that it may be made again with another place as every error is."""
        error = cls(f"the registry answered {status}", where=where)
        error.status = status
        return error


class _Again(Exception):
    """It may work in *after* seconds; else *error* is raised."""

    def __init__(self, error: TrustedPodsError, after: float = 0.0) -> None:
        super().__init__(str(error))
        self.error = error
        self.after = after


@dataclass
class Registry:
    """One repository of a registry, in one run. Raises `BadInput` for what is refused, `NetworkFailure`."""

    reference: ImageReference
    credentials: Callable[[str], Credentials | None] = credentials_of
    patience: Patience = field(default_factory=Patience)

    def __post_init__(self) -> None:
        """Nothing is asked yet; `BadInput` for what is no address."""
        host = self.reference.host
        scheme = "http" if is_loopback(host) else "https"
        try:
            self._base = httpx.URL(f"{scheme}://{_HUB_API if host == HUB else host}")
        except httpx.InvalidURL:
            raise BadInput("not the address of a registry", where=host) from None
        self._authorization: str | None = None
        self._client = httpx.Client(
            timeout=self.patience.answer,
            trust_env=not is_loopback(host),  # no proxy hears what never leaves this machine
            follow_redirects=False,
            headers={"user-agent": "trustedpods", "accept-encoding": "identity"},
        )

    def __enter__(self) -> Self:
        """Its connections are closed at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close them."""
        self._client.close()

    def manifest(self) -> tuple[bytes, str]:
        """The document that the reference names, and its type; not compared with a digest yet."""
        return self._patiently(f"manifests/{self.reference.asked}", {"accept": _ACCEPT}, self._document)

    def find_manifest(self, asked: str) -> bytes | None:
        """The document under another tag or digest of the repository; None where there is none."""
        try:
            return self._patiently(f"manifests/{asked}", {"accept": _ACCEPT}, self._document)[0]
        except NoSuchImage:
            return None

    def referrers(self, digest: str) -> bytes | None:
        """The index of what refers to *digest*; None of a registry that keeps none."""
        try:
            return self._patiently(f"referrers/{digest}", {"accept": _ACCEPT}, self._index)
        except NoSuchImage:
            return None
        except _Answered as error:
            if error.status in _KNOWS_NO_REFERRERS:
                return None
            raise

    def small_blob(self, named: Descriptor) -> bytes:
        """The bytes of a blob that is small enough for memory; not compared with its digest."""
        data = bytearray()

        def write(offset: int, piece: bytes) -> None:
            data[offset:] = piece

        self.blob(named.digest, named.size, 0, write)
        return bytes(data)

    def blob(self, digest: str, size: int, have: int, write: Callable[[int, bytes], None]) -> None:
        """Fetch a blob of *size* bytes, of which the first *have* are here; *write* gets offset and bytes.

        It goes on where an attempt ended. A registry that knows no ranges begins again, at offset 0.
        """
        progress = [have]

        def read(response: httpx.Response) -> None:
            at = _start(response, progress[0], size, self._where)
            began, first = time.monotonic(), at
            for piece in response.iter_raw():
                if at + len(piece) > size:
                    raise BadInput(
                        f"{digest} has more bytes than the {size} that were told", where=self._where
                    )
                write(at, piece)
                at = progress[0] = at + len(piece)
                _check_rate(at - first, time.monotonic() - began, self._where)
            if at != size:
                raise _Again(NetworkFailure(f"{digest} ended after {at} of {size} bytes", where=self._where))

        def headers() -> dict[str, str]:
            return {"range": f"bytes={progress[0]}-"} if progress[0] else {}

        if have < size or not size:
            self._patiently(f"blobs/{digest}", headers, read)

    @property
    def _where(self) -> str:
        return str(self.reference)

    def _index(self, response: httpx.Response) -> bytes | None:
        """None for something else, as a page that is shown for whatever is asked."""
        return _bounded(response, MAX_JSON, self._where) if _type_of(response) in INDEX_TYPES else None

    def _document(self, response: httpx.Response) -> tuple[bytes, str]:
        data = _bounded(response, MAX_JSON, self._where)
        kind = _type_of(response)
        if kind not in INDEX_TYPES | MANIFEST_TYPES:
            told = parse_object(data, "the image manifest").get("mediaType")
            kind = told if isinstance(told, str) else kind
        if kind not in INDEX_TYPES | MANIFEST_TYPES:
            raise BadInput(
                f"what the registry has there is no image, but of type {kind[:96]!r}",
                where=self._where,
                hint="write the name of an image; one of Docker's first form is to be pushed again",
            )
        return data, kind

    def _patiently(
        self,
        path: str,
        headers: dict[str, str] | Callable[[], dict[str, str]],
        read: Callable[[httpx.Response], T],
    ) -> T:
        """Ask, and ask again where that may help."""
        for attempt in range(self.patience.attempts):
            try:
                with self._asked(path, headers() if callable(headers) else headers) as response:
                    return read(response)
            except _Again as trouble:
                pause = max(trouble.after, self.patience.first_pause * 2**attempt)
                if attempt + 1 == self.patience.attempts or pause > self.patience.longest_pause:
                    raise trouble.error from None
                self.patience.pause(pause)
        raise AssertionError  # the last attempt returned or raised

    @contextmanager
    def _asked(self, path: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """The good answer to one request: after its challenge was met, where it led to."""
        url = self._base.join(f"/v2/{self.reference.repository}/{path}")
        try:
            with self._answer(url, headers) as response:
                elsewhere = _origin(response.request.url) != _origin(self._base)
                if response.status_code != 401 or elsewhere:  # where it led to learns no secret of ours
                    yield self._checked(response)
                    return
                challenge = response.headers.get("www-authenticate", "")
            self._authorization = self._authorized(challenge)
            with self._answer(url, headers) as response:
                yield self._checked(response)
        except httpx.TransportError as error:
            raise _Again(self._unreachable(error)) from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise NetworkFailure(f"a damaged answer: {error}"[:200], where=self._where) from None

    @contextmanager
    def _answer(self, url: httpx.URL, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """The answer after redirects; who we are is told to the registry itself and to no other place."""
        for _ in range(MAX_REDIRECTS + 1):
            known = self._authorization if _origin(url) == _origin(self._base) else None
            sent = headers | ({} if known is None else {"authorization": known})
            _asked.debug("registry: GET %s%s", _host(url), url.path)  # a query may be a key
            with self._client.stream("GET", url, headers=sent) as response:
                if response.status_code not in _MOVED:
                    yield response
                    return
                url = url.join(response.headers.get("location", ""))
            here = is_loopback(self.reference.host) and is_loopback(_host(url))
            if url.scheme != "https" and not (url.scheme == "http" and here):
                raise BadInput("the registry leads to a place that is not https", where=self._where)
            if url.userinfo:
                raise BadInput("the registry leads to a place with a password", where=self._where)
        raise NetworkFailure(f"more than {MAX_REDIRECTS} redirects", where=self._where)

    def _authorized(self, header: str) -> str:
        """The header that meets a challenge."""
        host = self.reference.host
        challenge = parse_challenge(header, host)
        known = self.credentials(host)
        if challenge.scheme == "basic":
            if known is None or not known.user:
                raise self._login("the registry gives it to nobody who is not logged in")
            return _basic(known)
        realm = checked_realm(challenge.realm, host)
        wanted = {"service": challenge.service, "scope": f"repository:{self.reference.repository}:pull"}
        if known is not None and not known.user:
            form = wanted | {"grant_type": "refresh_token", "refresh_token": known.secret}
            request = self._client.build_request("POST", realm, data=form | {"client_id": "trustedpods"})
        else:
            sent = {} if known is None else {"authorization": _basic(known)}
            request = self._client.build_request("GET", realm, params=_params(realm, wanted), headers=sent)
        return self._token(request)

    def _token(self, request: httpx.Request) -> str:
        response = self._client.send(request, stream=True)
        try:
            if response.status_code in {400, 401, 403}:
                raise self._login("the registry's token server does not take what `docker login` kept")
            self._checked(response)
            tree = parse_object(
                _bounded(response, MAX_TOKEN_ANSWER, self._where), "the token server's answer"
            )
        finally:
            response.close()
        token = tree.get("token") or tree.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or " " in token:
            raise NetworkFailure("the token server's answer has no token", where=self._where)
        return f"Bearer {token}"

    def _checked(self, response: httpx.Response) -> httpx.Response:
        """The answer, if it is one to read; else what its status means for a person."""
        status = response.status_code
        if status in {200, 206}:
            return response
        if status in {401, 403}:
            raise self._login("the registry does not show it to you, or has no such image")
        if status == 404:
            raise NoSuchImage("the registry has no such image", where=self._where, hint="check name and tag")
        if status == 429:
            hint = f"wait, or `docker login {self.reference.host}`: who is known may fetch more"
            error = NetworkFailure(
                "the registry lets nobody fetch more for now (429)", where=self._where, hint=hint
            )
            raise _Again(error, _retry_after(response))
        error = _Answered.of(status, self._where)
        raise _Again(error, _retry_after(response)) if status in _LATER else error

    def _login(self, what: str) -> BadInput:
        hint = f"`docker login {self.reference.host}`; check name and tag"
        if self.reference.host == HUB:
            hint += f"; an image of this machine is docker-daemon:{self.reference.short_name} or podman:..."
        return BadInput(what, where=self._where, hint=hint)

    def _unreachable(self, error: httpx.TransportError) -> NetworkFailure:
        hint = "an image on this disk needs no network: oci-archive:FILE, docker-daemon:NAME"
        what = f"the registry cannot be reached: {str(error) or type(error).__name__}"
        return NetworkFailure(what[:300], where=self._where, hint=hint)


def _type_of(response: httpx.Response) -> str:
    return str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()


def _start(response: httpx.Response, have: int, size: int, where: str) -> int:
    """Where the answer's bytes begin. Raises where they cannot be those of the blob."""
    length = response.headers.get("content-length")
    at = have if response.status_code == 206 else 0
    if at and not response.headers.get("content-range", "").startswith(f"bytes {have}-"):
        raise NetworkFailure("the registry sent another part than was asked for", where=where)
    if length is not None and length.isascii() and length.isdigit() and int(length[:20]) != size - at:
        raise BadInput(f"the registry has {length[:20]} bytes where {size - at} were told", where=where)
    return at


def _check_rate(bytes_read: int, seconds: float, where: str) -> None:
    if seconds > 60 and bytes_read < LEAST_RATE * seconds:
        raise NetworkFailure(
            f"the registry sends less than {LEAST_RATE} bytes a second",
            where=where,
            hint="run it again: what came is kept",
        )


def _bounded(response: httpx.Response, bound: int, where: str) -> bytes:
    data = bytearray()
    began = time.monotonic()
    for piece in response.iter_raw():
        data += piece
        if len(data) > bound:
            raise BadInput(f"the registry's answer has more than {bound} bytes", where=where)
        _check_rate(len(data), time.monotonic() - began, where)
    return bytes(data)


def _params(realm: str, wanted: dict[str, str]) -> httpx.QueryParams:
    """What the realm's address has already, and what is wanted."""
    return httpx.URL(realm).params.merge({key: value for key, value in wanted.items() if value})


def _basic(known: Credentials) -> str:
    return "Basic " + base64.b64encode(f"{known.user}:{known.secret}".encode()).decode()


def _retry_after(response: httpx.Response) -> float:
    """Seconds; a date, which registries do not send, counts as nothing said."""
    told = response.headers.get("retry-after", "")
    return float(told) if told.isascii() and told.isdigit() and len(told) < 9 else 0.0


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _host(url: httpx.URL) -> str:
    return url.netloc.decode("ascii", "replace")
