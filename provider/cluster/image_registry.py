# SPDX-License-Identifier: Apache-2.0
"""The image registry beside the cluster, by the OCI distribution API.

A blob streams from an iterator to the registry, which checks its digest; this process never
writes it anywhere. Whatever is stored is named by digest, in a repository of the pod's own.
"""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Self, cast

import httpx
import trio

from trustedpods.protocol.errors import NetworkFailure, Refused, RemoteProtocolError
from trustedpods.protocol.limits import MIB
from trustedpods.provider.cluster import pull_front
from trustedpods.provider.cluster.api import errors
from trustedpods.provider.cluster.objects.secret import PullLogin

CALL_TIMEOUT_S = 15.0
STALL_TIMEOUT_S = 60.0
"""How long a push may go without moving a byte, and the registry may check a large blob."""

READ_PIECE = 1 * MIB
"""Bytes of a stored blob that are in memory at once."""

MANIFEST_TRIES = 3
"""A registry answers "unknown error" to a manifest that it will never take or give, and to a full disk.
So often it is asked, a second apart; then it is a refusal, which a publisher hears."""

_PASSING = {"TOOMANYREQUESTS", "UNAVAILABLE", "UNKNOWN"}
"""Codes of the distribution specification, and of the registry's own, that may be gone at the next try."""

_MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
)
"""A registry denies having what is not asked for by its type."""

_IMAGE_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)

_DIGEST_REFUSED = {"DIGEST_INVALID", "SIZE_INVALID", "MANIFEST_INVALID"}


class ImageRegistry:
    """A registry at *base_url*, such as `http://127.0.0.1:5000`. Made by `open_image_registry`.

    NetworkFailure when it cannot be reached; Refused when it says no, with rule `digest` when
    content is not what its digest says. With a *pull_key* nodes pull through `pull_front`, which asks them
    for a password.
    """

    def __init__(self, base_url: str, session: httpx.AsyncClient, pull_key: bytes | None = None) -> None:
        self._base = httpx.URL(base_url)
        self._session = session
        self._pull_key = pull_key

    def pull_reference(self, repo: str, digest: str) -> str:
        """How a node names the image: always by digest."""
        return f"{self._base.netloc.decode()}/{repo}@{digest}"

    def pull_login(self, repo: str) -> PullLogin | None:
        """What a node says to pull from the repository; None where nobody asks it."""
        if self._pull_key is None:
            return None
        opens = pull_front.password(self._pull_key, repo)
        return PullLogin(self._base.netloc.decode(), pull_front.USER, opens)

    async def ping(self) -> None:
        """Raise unless a registry answers."""
        await self._call("GET", "/v2/", {200})

    async def has_blob(self, repo: str, digest: str) -> bool:
        """Whether the repository has the blob; one in another repository does not count."""
        answer = await self._call("HEAD", f"/v2/{repo}/blobs/{digest}", {200, 404})
        return answer.status_code == 200

    async def has_manifest(self, repo: str, digest: str) -> bool:
        """Whether the repository has the manifest."""
        # 500 is its answer to a layer that is called a manifest.
        answer = await self._call(
            "HEAD", f"/v2/{repo}/manifests/{digest}", {200, 404, 500}, headers={"accept": _MANIFESTS}
        )
        return answer.status_code == 200

    async def read_manifest(self, repo: str, digest: str, media_type: str) -> bytes | None:
        """The manifest as it was stored; None where the repository lacks it."""
        accept = {"accept": f"{media_type}, {_MANIFESTS}"}
        target = f"/v2/{repo}/manifests/{digest}"
        answer = await self._manifest_call("GET", target, {200, 404}, accept, None)
        return answer.content if answer.status_code == 200 else None

    async def blob_size(self, repo: str, digest: str) -> int | None:
        """Bytes of the blob; None where the repository lacks it."""
        answer = await self._call("HEAD", f"/v2/{repo}/blobs/{digest}", {200, 404})
        return int(answer.headers.get("content-length", "-1")) if answer.status_code == 200 else None

    async def read_blob(self, repo: str, digest: str, size: int) -> bytes | None:
        """A small blob of *size* bytes; None where the repository lacks it, Refused where it has others."""
        found = await self.blob_size(repo, digest)
        if found is None:
            return None
        kept: list[bytes] = []

        async def keep(data: bytes) -> None:
            kept.append(data)

        await self.read_stored(repo, digest, size, keep)
        return b"".join(kept)

    async def read_stored(
        self, repo: str, digest: str, size: int, take: Callable[[bytes], Awaitable[None]]
    ) -> None:
        """Give a stored blob of exactly *size* bytes to *take*, in pieces; Refused where it has others."""
        url = self._base.join(f"/v2/{repo}/blobs/{digest}")
        where, passed = f"registry GET {url.path}", 0
        try:
            async with self._session.stream("GET", url, timeout=STALL_TIMEOUT_S) as answer:
                if answer.status_code != 200:
                    await answer.aread()
                    raise _refusal(answer, where)
                pieces = cast("AsyncGenerator[bytes]", answer.aiter_raw(READ_PIECE))
                async with aclosing(pieces):
                    async for piece in pieces:
                        passed += len(piece)
                        if passed > size:
                            break
                        await take(piece)
        except errors.TRANSPORT as error:
            raise errors.from_transport(error, where) from error
        if passed != size:
            raise Refused(f"{digest} does not have {size} bytes", rule="image")

    async def push_blob(self, repo: str, digest: str, size: int, chunks: AsyncIterator[bytes]) -> None:
        """Stream a blob of exactly *size* bytes into the repository.

        An error that *chunks* raises comes out as it is; the registry forgets the begun upload.
        """
        begun = await self._call("POST", f"/v2/{repo}/blobs/uploads/", {202}, content=b"")
        place = self._base.join(begun.headers.get("location", ""))
        if place.host != self._base.host or place.port != self._base.port:
            raise RemoteProtocolError("the registry sends uploads to another host", where=str(place))
        try:
            await self._call(
                "PUT",
                place.copy_merge_params({"digest": digest}),
                {201},
                stream=_Body(size, chunks),
                headers={"content-length": str(size), "content-type": "application/octet-stream"},
                timeout=STALL_TIMEOUT_S,
            )
        except BaseException:
            await self._forget(place)
            raise

    async def _forget(self, place: httpx.URL) -> None:
        """Give up an upload, also while being cancelled; the registry purges old ones itself."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 2):
            try:
                await self._session.delete(place)
            except errors.TRANSPORT:
                return

    async def push_manifest(self, repo: str, media_type: str, data: bytes) -> str:
        """Store a manifest; returns its digest, by which it is pulled.

        It gets a tag of its own, as a registry lists tags only: `clear` finds it by that.
        Refused where it names blobs that the repository lacks.
        """
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        target, headers = f"/v2/{repo}/manifests/{digest.replace(':', '-')}", {"content-type": media_type}
        answer = await self._manifest_call("PUT", target, {201}, headers, data)
        stored = answer.headers.get("docker-content-digest", digest)
        if stored != digest:
            raise RemoteProtocolError(f"the registry stored {stored} instead of {digest}")
        return digest

    async def _manifest_call(
        self, method: str, target: str, expected: set[int], headers: Mapping[str, str], content: bytes | None
    ) -> httpx.Response:
        for left in reversed(range(MANIFEST_TRIES)):
            try:
                return await self._call(method, target, expected, content=content, headers=headers)
            except NetworkFailure as error:
                if error.rule != "UNKNOWN":
                    raise
                if not left:
                    raise Refused(error.what, where=error.where, rule="registry") from None
            await trio.sleep(1.0)
        raise AssertionError("the last try returns or raises")

    async def clear(self, repo: str) -> None:
        """Take every image out of the repository; may be repeated.

        Nothing can be pulled from it any more; the space comes back with garbage collection.
        """
        answer = await self._call("GET", f"/v2/{repo}/tags/list", {200, 404})
        tags = (answer.json().get("tags") or []) if answer.status_code == 200 else []
        for tag in tags:
            await self._clear_image(repo, tag.replace("-", ":", 1))

    async def _clear_image(self, repo: str, digest: str) -> None:
        """Blobs first: while the manifest is there, a repetition finds them."""
        accept = {"accept": ", ".join(_IMAGE_MANIFESTS)}
        answer = await self._call("GET", f"/v2/{repo}/manifests/{digest}", {200, 404}, headers=accept)
        if answer.status_code == 200:
            manifest = answer.json()
            for blob in (manifest["config"], *manifest["layers"]):
                await self.delete_blob(repo, blob["digest"])
        await self.delete_manifest(repo, digest)

    async def delete_manifest(self, repo: str, digest: str) -> None:
        """Let an image go; the space comes back with the registry's garbage collection."""
        await self._call("DELETE", f"/v2/{repo}/manifests/{digest}", {202, 404})

    async def delete_blob(self, repo: str, digest: str) -> None:
        """Take a blob out of the repository; the space comes back with garbage collection."""
        await self._call("DELETE", f"/v2/{repo}/blobs/{digest}", {202, 404})

    async def _call(
        self,
        method: str,
        target: str | httpx.URL,
        expected: set[int],
        *,
        content: bytes | None = None,
        stream: httpx.AsyncByteStream | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = CALL_TIMEOUT_S,
    ) -> httpx.Response:
        url = self._base.join(target) if isinstance(target, str) else target
        where = f"registry {method} {url.path}"
        limits = {"timeout": httpx.Timeout(timeout).as_dict()}
        # httpx leaves the Host header to the caller where the body is a stream of the caller's own.
        named = {"host": url.netloc.decode("ascii"), **(headers or {})}
        request = httpx.Request(method, url, content=content, stream=stream, headers=named, extensions=limits)
        try:
            answer = await self._session.send(request)
        except errors.TRANSPORT as error:
            raise errors.from_transport(error, where) from error
        if answer.status_code not in expected:
            raise _refusal(answer, where)
        return answer


class _Body(httpx.AsyncByteStream):
    """The chunks, if they add up to *size*; what is too long is never sent on.

    No async generator: the registry may answer before the end, and nobody would close it.
    """

    def __init__(self, size: int, chunks: AsyncIterator[bytes]) -> None:
        self._size = size
        self._sent = 0
        self._chunks = chunks

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            if self._sent != self._size:
                raise Refused(
                    f"a blob of {self._size} bytes ends after {self._sent}", rule="digest"
                ) from None
            raise
        self._sent += len(chunk)
        if self._sent > self._size:
            raise Refused(f"a blob of {self._size} bytes goes on after its end", rule="digest")
        return chunk


def _refusal(answer: httpx.Response, where: str) -> Refused | NetworkFailure:
    try:
        first = answer.json()["errors"][0]
        code, words = str(first["code"]), str(first.get("message") or first["code"])
        words += f": {first['detail']}" if first.get("detail") else ""
    except (ValueError, LookupError, TypeError):
        return NetworkFailure(f"answered {answer.status_code}, not as a registry does", where=where)
    if code in _PASSING:
        return NetworkFailure(words, where=where, rule=code)
    return Refused(words, where=where, rule="digest" if code in _DIGEST_REFUSED else code)


@asynccontextmanager
async def open_image_registry(base_url: str, pull_key: bytes | None = None) -> AsyncIterator[ImageRegistry]:
    """The registry at *base_url* (`http://HOST:PORT`); nothing is asked of it before the first call."""
    limits = httpx.Limits(max_connections=16, max_keepalive_connections=4)
    async with httpx.AsyncClient(timeout=CALL_TIMEOUT_S, limits=limits, trust_env=False) as session:
        yield ImageRegistry(base_url, session, pull_key)
