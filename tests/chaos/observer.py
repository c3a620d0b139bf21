# SPDX-License-Identifier: Apache-2.0
"""An independent observer of what ran: the API server's own event stream, resumed where it broke.

It shares nothing with the provider: its own list and watch with the administrator's certificate,
its own reading of times. Where the stream broke and a pod is gone when it goes on, and where Kubernetes
itself lost a container's end, the observer says between which times it ended.
"""

import json
import ssl
import threading
import time
from calendar import timegm
from dataclasses import dataclass
from typing import Any, Self

import httpx

from tests.live.localnet_fixture import LiveLocalnet

LABEL = "trustedpods.dev/pod"
LOOK_AGAIN_S = 0.2
READ_LIMIT_S = 20.0

Json = dict[str, Any]


@dataclass
class Run:
    """One Kubernetes pod: its reservation, and the API server's own times in Unix seconds.

    `asked`: when it was asked to end, and `gone`: it went without an end that could be read, after
    the one time and before the other. What was asked to end may have ended at once.
    """

    namespace: str
    cpu_milli: int
    memory_mib: int
    scratch_mib: int
    begun: int | None = None
    ran: bool = False
    ended: int | None = None
    gone: tuple[int, int] | None = None
    asked: int | None = None

    def seconds(self, now: int, *, at_least: bool) -> int:
        """How long it ran before *now*, at least or at most."""
        if self.begun is None or not self.ran:
            return 0
        end = now
        if self.ended is not None:
            end = self.ended
        elif self.gone is not None:
            end = self.gone[0 if at_least else 1]
            if at_least and self.asked is not None:
                end = min(end, self.asked)
        return max(0, min(now, end) - self.begun)


class Observer:
    """Follows all tenants' pods from a thread while the block runs."""

    def __init__(self, market: LiveLocalnet) -> None:
        self.runs: dict[str, Run] = {}
        self.listed = threading.Event()
        self._server = market.cluster().api_server
        self._tls = _context(market)
        self._version = ""
        self._alive = 0.0
        self._bug: Exception | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="observer")

    def __enter__(self) -> Self:
        self._thread.start()
        assert self.listed.wait(READ_LIMIT_S), "the API server did not list its pods"
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._bug is not None:
            raise self._bug

    def _follow(self) -> None:
        try:
            self._follow_on()
        except Exception as bug:  # noqa: BLE001 - whoever ends the block is told
            self._bug = bug

    def _follow_on(self) -> None:
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
        there = {item["metadata"]["uid"] for item in answer["items"]}
        for uid in self.runs.keys() - there:
            self._went(uid)
        self._version = answer["metadata"]["resourceVersion"]
        self._alive = time.time()
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
                if event["type"] == "DELETED":
                    self._went(event["object"]["metadata"]["uid"])
                self._version = event["object"]["metadata"]["resourceVersion"]
                self._alive = time.time()
        self._alive = time.time()

    def _take(self, pod: Json) -> None:
        metadata, status = pod["metadata"], pod.get("status", {})
        run = self.runs.setdefault(metadata["uid"], _new(pod))
        if "startTime" in status:
            run.begun = unix(status["startTime"])
        states = status.get("containerStatuses", [])
        ends = [ended for state in states if (ended := _ended(state)) is not None]
        runs = any("running" in state.get("state", {}) for state in states)
        run.ran = run.ran or runs or bool(ends)
        if "deletionTimestamp" in metadata and run.asked is None:
            run.asked = unix(metadata["deletionTimestamp"]) - metadata.get("deletionGracePeriodSeconds", 0)
        if metadata.get("deletionTimestamp") and ends and not runs:
            run.ended = max(ends)

    def _went(self, uid: str) -> None:
        run = self.runs[uid]
        if run.ended is None and run.gone is None:
            run.gone = (int(self._alive), int(time.time()) + 1)


def _new(pod: Json) -> Run:
    limits = [container["resources"]["limits"] for container in pod["spec"]["containers"]]
    return Run(
        pod["metadata"]["namespace"],
        sum(_milli(limit["cpu"]) for limit in limits),
        sum(_mib(limit["memory"]) for limit in limits),
        sum(_mib(limit["ephemeral-storage"]) for limit in limits),
    )


def _ended(state: Json) -> int | None:
    for part in ("state", "lastState"):
        finished = state.get(part, {}).get("terminated", {}).get("finishedAt")
        if finished is not None:  # it is null where the kubelet found no container
            return unix(finished)
    return None


def _milli(text: str) -> int:
    return int(text[:-1]) if text.endswith("m") else int(text) * 1000


MIB_OF = {"Mi": 1, "Gi": 1024, "Ti": 1024 * 1024}
"""The API server writes the largest unit in which a size is whole."""


def _mib(text: str) -> int:
    assert text[-2:] in MIB_OF, text
    return int(text[:-2]) * MIB_OF[text[-2:]]


def unix(text: str) -> int:
    """A Kubernetes time in Unix seconds."""
    return timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def _context(market: LiveLocalnet) -> ssl.SSLContext:
    """The administrator's certificate, as kubectl uses it."""
    pki = market.cluster().path("pki")
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    return context
