# SPDX-License-Identifier: Apache-2.0
"""Calls to the API server as plain JSON over HTTP: read, list, apply, patch, delete, watch.

Plain JSON because the daemon reads few fields of few kinds, and the client library's generated
classes cost many times the CPU of `json`; httpx because it runs under trio, so a cancelled call
is really over.
"""

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import trio

from trustedpods.protocol.errors import LocalProtocolError, RemoteProtocolError
from trustedpods.protocol.messages.exec import TerminalSize
from trustedpods.provider.cluster.api import commands, errors, kubeconfig, streams

CALL_TIMEOUT_S = 15.0
"""For a whole call; an idle API server answers in milliseconds."""

WATCH_SILENCE_S = 90.0
"""A watch without even a bookmark (sent each minute) for so long is dead."""

PAGE = 500
"""Objects per page of a list."""

_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"

_NOT_PLAIN_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")

_PLACES = {
    "Namespace": ("/api/v1", "namespaces", False),
    "Secret": ("/api/v1", "secrets", True),
    "Service": ("/api/v1", "services", True),
    "ServiceAccount": ("/api/v1", "serviceaccounts", True),
    "ResourceQuota": ("/api/v1", "resourcequotas", True),
    "PersistentVolumeClaim": ("/api/v1", "persistentvolumeclaims", True),
    "Pod": ("/api/v1", "pods", True),
    "Event": ("/api/v1", "events", True),
    "Node": ("/api/v1", "nodes", False),
    "StorageClass": ("/apis/storage.k8s.io/v1", "storageclasses", False),
    "CSINode": ("/apis/storage.k8s.io/v1", "csinodes", False),
    "PodDisruptionBudget": ("/apis/policy/v1", "poddisruptionbudgets", True),
    "NetworkPolicy": ("/apis/networking.k8s.io/v1", "networkpolicies", True),
    "Ingress": ("/apis/networking.k8s.io/v1", "ingresses", True),
    "IngressClass": ("/apis/networking.k8s.io/v1", "ingressclasses", False),
    "EndpointSlice": ("/apis/discovery.k8s.io/v1", "endpointslices", True),
    "SecretProviderClass": ("/apis/secrets-store.csi.x-k8s.io/v1", "secretproviderclasses", True),
    "Lease": ("/apis/coordination.k8s.io/v1", "leases", True),
    "ClusterRole": ("/apis/rbac.authorization.k8s.io/v1", "clusterroles", False),
    "ClusterRoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
}


def path_of(kind: str, namespace: str | None = None, name: str | None = None) -> str:
    """Where objects of a kind live: all of them, those of a namespace, or a single one.

    Workloads have their paths from their strategies.
    """
    if kind not in _PLACES:
        raise LocalProtocolError(f"no path is known for kind {kind}")
    root, plural, namespaced = _PLACES[kind]
    return path_under(root, plural, namespace if namespaced else None, name)


def path_under(root: str, plural: str, namespace: str | None = None, name: str | None = None) -> str:
    """The same of a kind that is called *plural* in the API group and version at *root*."""
    inside = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{inside}/{plural}" + (f"/{name}" if name else "")


@dataclass(frozen=True, slots=True)
class ApiPatience:
    """How long an API server is waited for, in seconds."""

    call_s: float = CALL_TIMEOUT_S
    watch_silence_s: float = WATCH_SILENCE_S


USUAL = ApiPatience()


class Api:
    """One API server. Raises NetworkFailure when it cannot be reached, Refused when it says no."""

    def __init__(
        self, access: kubeconfig.Access, session: httpx.AsyncClient, patience: ApiPatience = USUAL
    ) -> None:
        self.patience = patience
        self._access = access
        self._session = session

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
        accept: str | None = None,
    ) -> httpx.Response:
        """One call; any answer but 2xx becomes an error."""
        where = f"kubernetes {method} {path}"
        headers = await self._access.headers()
        headers |= {"accept": accept} if accept else {}
        content = None
        if body is not None:
            content, headers["content-type"] = _json_and_yaml(body), content_type
        try:
            with trio.fail_after(self.patience.call_s):
                answer = await self._session.request(
                    method, self._access.server + path, params=query, content=content, headers=headers
                )
        except errors.TRANSPORT as error:
            raise errors.from_transport(error, where) from error
        if not answer.is_success:
            raise errors.from_answer(answer.status_code, answer.content, where)
        return answer

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The JSON object at *path*."""
        return _object(await self.call("GET", path, query=query))

    async def find(self, path: str) -> dict[str, Any] | None:
        """The JSON object at *path*, or None when the API server says that there is none."""
        try:
            return await self.get(path)
        except errors.NotThere:
            return None

    async def items(
        self, path: str, selector: str | None = None, fields: str | None = None
    ) -> list[dict[str, Any]]:
        """All objects of a list, page by page."""
        return (await self.listing(path, selector, fields))[0]

    async def listing(
        self, path: str, selector: str | None = None, fields: str | None = None
    ) -> tuple[list[dict[str, Any]], str]:
        """All objects of a list, and the version from which a watch would go on."""
        query = {"limit": str(PAGE)}
        query |= {"labelSelector": selector} if selector else {}
        query |= {"fieldSelector": fields} if fields else {}
        found: list[dict[str, Any]] = []
        while True:
            page = await self.get(path, query)
            found += page.get("items") or []
            metadata = page.get("metadata", {})
            if not metadata.get("continue"):
                return found, str(metadata.get("resourceVersion", ""))
            query["continue"] = metadata["continue"]

    async def apply(self, path: str, wanted: Mapping[str, Any], manager: str) -> dict[str, Any]:
        """Server-side apply: *manager* takes and keeps exactly the fields of *wanted*."""
        query = {"fieldManager": manager, "force": "true", "fieldValidation": "Strict"}
        return _object(await self.call("PATCH", path, query=query, body=wanted, content_type=_APPLY))

    async def merge(self, path: str, change: Mapping[str, Any]) -> dict[str, Any]:
        """Merge patch."""
        return _object(await self.call("PATCH", path, body=change, content_type=_MERGE))

    async def patch(self, path: str, steps: list[dict[str, Any]]) -> dict[str, Any]:
        """JSON patch: all steps, its tests included, or none."""
        return _object(await self.call("PATCH", path, body=steps, content_type=_JSON_PATCH))

    async def delete(self, path: str) -> None:
        """Ask for an object's deletion; one that is not there is deleted already."""
        try:
            await self.call("DELETE", path, query={"propagationPolicy": "Background"})
        except errors.NotThere:
            return

    def stream(
        self, path: str, query: Mapping[str, str], silence: float | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """An answer that goes on, piece by piece; see `streams`."""
        return streams.open_stream(self._access, path, query, silence)

    def exec(
        self,
        path: str,
        container: str,
        command: Sequence[str],
        *,
        stdin: bool,
        size: TerminalSize | None = None,
    ) -> AbstractAsyncContextManager[commands.RunningCommand]:
        """A command in a container of the Pod at *path*; see `commands`."""
        return commands.open_command(self._access, path + "/exec", container, command, stdin=stdin, size=size)


def _json_and_yaml(body: object) -> bytes:
    """JSON that is YAML too, which the API server reads an apply as.

    YAML knows no surrogate pairs, so text is not escaped, but for what YAML forbids unescaped.
    """
    text = json.dumps(body, ensure_ascii=False)
    return _NOT_PLAIN_IN_YAML.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text).encode()


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        made = answer.json()
    except ValueError as error:
        raise RemoteProtocolError("answered no JSON", where=str(answer.url.path)) from error
    if not isinstance(made, dict):
        raise RemoteProtocolError("answered no JSON object", where=str(answer.url.path))
    return made


@asynccontextmanager
async def open_api(access: kubeconfig.Access, patience: ApiPatience = USUAL) -> AsyncIterator[Api]:
    """Connections to the API server, closed at the end."""
    limits = httpx.Limits(max_connections=32, max_keepalive_connections=8, keepalive_expiry=60)
    async with httpx.AsyncClient(
        verify=access.tls, timeout=patience.call_s, limits=limits, trust_env=False, follow_redirects=False
    ) as session:
        yield Api(access, session, patience)
