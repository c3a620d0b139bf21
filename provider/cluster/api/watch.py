# SPDX-License-Identifier: Apache-2.0
"""A watch on replicas: what is there now, then every change, over the API server's time limits."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from trustedpods.protocol.errors import RemoteProtocolError
from trustedpods.provider.cluster.api import errors
from trustedpods.provider.cluster.api.http import Api, path_of
from trustedpods.provider.cluster.api.streams import Lines
from trustedpods.provider.cluster.objects.names import POD_LABEL
from trustedpods.provider.cluster.views import PodView, pod_view

ROUND_S = 240
"""How long one watch lasts before the API server ends it and the next goes on from there."""


@dataclass(frozen=True, slots=True)
class PodChange:
    """A replica as it is now; `gone` when the API server no longer knows it."""

    pod: PodView
    gone: bool


@asynccontextmanager
async def watch_pods(api: Api, namespace: str | None) -> AsyncIterator[AsyncIterator[PodChange]]:
    """See `Cluster.watch_pods`."""
    async with aclosing(_changes(api, path_of("Pod", namespace))) as changes:
        yield changes


async def _changes(api: Api, path: str) -> AsyncGenerator[PodChange]:
    """Lists, watches from there on, and lists again whenever the server has forgotten the place."""
    known: dict[str, PodView] = {}
    while True:
        found, version = await api.listing(path, POD_LABEL)
        now = {pod["metadata"]["uid"]: pod_view(pod) for pod in found}
        for uid in known.keys() - now.keys():
            yield PodChange(known[uid], gone=True)
        for uid, view in now.items():
            if known.get(uid) != view:
                yield PodChange(view, gone=False)
        known = now
        async with aclosing(_from(api, path, version)) as changes:
            async for change in changes:
                if change.gone:
                    known.pop(change.pod.uid, None)
                else:
                    known[change.pod.uid] = change.pod
                yield change


async def _from(api: Api, path: str, version: str) -> AsyncGenerator[PodChange]:
    """Changes after *version*; ends when the server no longer knows that version."""
    while True:
        query = {
            "watch": "true",
            "labelSelector": POD_LABEL,
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(ROUND_S),
        }
        try:
            async with api.stream(path, query, api.patience.watch_silence_s) as chunks:
                lines = Lines()
                async for chunk in chunks:
                    for kind, item in (_event(line, path) for line in lines.feed(chunk)):
                        version = item["metadata"]["resourceVersion"]
                        if kind != "BOOKMARK":
                            yield PodChange(pod_view(item), gone=kind == "DELETED")
        except errors.Conflict:
            return


def _event(line: bytes, path: str) -> tuple[str, dict[str, Any]]:
    """Kind and object of one line; an ERROR line is raised as the error that it is."""
    try:
        event = json.loads(line)
        kind, item = str(event["type"]), event["object"]
    except (ValueError, KeyError, TypeError) as error:
        raise RemoteProtocolError("broken line in a watch", where=path) from error
    if kind == "ERROR":
        raise errors.from_answer(int(item.get("code", 500)), json.dumps(item).encode(), path)
    return kind, item
