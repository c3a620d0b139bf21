# SPDX-License-Identifier: Apache-2.0
"""An independent observer of what ran: the API server's own event stream, resumed where it broke.

It shares nothing with the provider: its own list and watch with the administrator's certificate,
its own reading of times. The stream is kept by etcd, so a killed API server loses nothing of it.
"""

import json
import ssl
import threading
import time
from calendar import timegm
from dataclasses import dataclass
from typing import Any

import httpx

from tests.live.localnet_fixture import LiveLocalnet

LABEL = "trustedpods.dev/pod"
LOOK_AGAIN_S = 0.2
READ_LIMIT_S = 20.0

Json = dict[str, Any]


@dataclass
class Run:
    """One Kubernetes pod: its reservation, and the API server's own times in Unix seconds."""

    namespace: str
    cpu_milli: int
    memory_mib: int
    begun: int | None = None
    ran: bool = False
    ended: int | None = None

    def seconds(self, now: int) -> int:
        """How long it ran before *now*."""
        if self.begun is None or not self.ran:
            return 0
        return max(0, (now if self.ended is None else min(now, self.ended)) - self.begun)


class Observer:
    """Follows all tenants' pods from a thread while the block runs."""

    def __init__(self, market: LiveLocalnet) -> None:
        self.runs: dict[str, Run] = {}
        self.listed = threading.Event()
        self._server = market.cluster().api_server
        self._tls = _context(market)
        self._version = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="observer")

    def __enter__(self) -> "Observer":
        self._thread.start()
        assert self.listed.wait(READ_LIMIT_S), "the API server did not list its pods"
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _follow(self) -> None:
        with httpx.Client(
            base_url=self._server, verify=self._tls, timeout=READ_LIMIT_S, trust_env=False
        ) as api:
            while not self._ended.is_set():
                try:
                    if not self._version:
                        self._list(api)
                    self._watch(api)
                except (httpx.HTTPError, json.JSONDecodeError):
                    self._ended.wait(LOOK_AGAIN_S)

    def _list(self, api: httpx.Client) -> None:
        answer = api.get("/api/v1/pods", params={"labelSelector": LABEL}).raise_for_status().json()
        for item in answer["items"]:
            self._take(item)
        self._version = answer["metadata"]["resourceVersion"]
        self.listed.set()

    def _watch(self, api: httpx.Client) -> None:
        """Short watches, so that the end of the block is noticed."""
        question = {
            "watch": "1",
            "labelSelector": LABEL,
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": "2",
        }
        with api.stream("GET", "/api/v1/pods", params=question) as stream:
            if stream.status_code == httpx.codes.GONE:
                self._version = ""
                return
            stream.raise_for_status()
            for line in stream.iter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    self._version = ""
                    return
                if event["type"] != "BOOKMARK":
                    self._take(event["object"])
                self._version = event["object"]["metadata"]["resourceVersion"]

    def _take(self, pod: Json) -> None:
        metadata, status = pod["metadata"], pod.get("status", {})
        run = self.runs.setdefault(metadata["uid"], _new(pod))
        if "startTime" in status:
            run.begun = unix(status["startTime"])
        states = status.get("containerStatuses", [])
        ends = [ended for state in states if (ended := _ended(state)) is not None]
        run.ran = run.ran or bool(ends) or any("running" in state.get("state", {}) for state in states)
        over = bool(states) and all("terminated" in state.get("state", {}) for state in states)
        if over and metadata.get("deletionTimestamp") and ends:
            run.ended = max(ends)


def _new(pod: Json) -> Run:
    limits = [container["resources"]["limits"] for container in pod["spec"]["containers"]]
    return Run(
        pod["metadata"]["namespace"],
        sum(_milli(limit["cpu"]) for limit in limits),
        sum(_mib(limit["memory"]) for limit in limits),
    )


def _ended(state: Json) -> int | None:
    for part in ("state", "lastState"):
        if "terminated" in state.get(part, {}):
            return unix(state[part]["terminated"]["finishedAt"])
    return None


def _milli(text: str) -> int:
    return int(text[:-1]) if text.endswith("m") else int(text) * 1000


def _mib(text: str) -> int:
    assert text.endswith("Mi"), text
    return int(text[:-2])


def unix(text: str) -> int:
    """A Kubernetes time in Unix seconds."""
    return timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def _context(market: LiveLocalnet) -> ssl.SSLContext:
    """The administrator's certificate, as kubectl uses it."""
    pki = market.cluster().path("pki")
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    return context
