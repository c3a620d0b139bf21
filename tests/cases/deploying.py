# SPDX-License-Identifier: Apache-2.0
"""Deploys pods side by side on one market, asks each for its trait, and deletes it."""

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import Queue

from tests.cases.pods import Pod, write
from tests.live.clients import web
from tests.live.clients.publisher import Deployed, Json, Publisher
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.money import Bank
from tests.live.observers.waiting import PATIENCE_S, until
from trustedpods.protocol.errors import ExitCode

AT_ONCE = 3
"""Publishers that deploy at the same time: half of a deploy is waiting for blocks and the kubelet."""

NO_ROOM = ("nodes are available: 1 Insufficient", '"rule": "capacity-cpu"')
"""The scheduler's word, as a deploy tells it, and the daemon's."""

DEPOSIT = "30m"
BUSYBOX = Path("/bin/busybox")


class Deploys:
    """Publishers at one market, who take turns."""

    def __init__(self, market: LiveLocalnet, folder: Path) -> None:
        self._market = market
        self._program = BUSYBOX.read_bytes()
        self._free: Queue[Publisher] = Queue()
        for number in range(AT_ONCE):
            own = folder / f"publisher-{number}"
            own.mkdir()
            self._free.put(Publisher(market, Bank(market).new_account(own), own))

    def faults(self, pods: Iterable[tuple[str, Pod]]) -> dict[str, str]:
        """What is wrong with each of *pods*; nothing of those that do as their case says.

        Three of a core each have no room beside each other: who is told so is tried again, alone.
        """
        found: dict[str, str] = {}

        def check(place: int, name: str, pod: Pod) -> None:
            person = self._free.get()
            try:
                self._check(person, f"case-{place}", pod)
            except Exception as wrong:  # noqa: BLE001 - told with its name, beside the others
                found[name] = f"{type(wrong).__name__}: {wrong}"
            finally:
                self._free.put(person)

        cases = list(pods)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda one: check(one[0], *one[1]), enumerate(cases)))
        for place, (name, pod) in enumerate(cases, len(cases)):
            if any(word in found.get(name, "") for word in NO_ROOM):
                del found[name]
                check(place, name, pod)
        return found

    def _check(self, person: Publisher, name: str, pod: Pod) -> None:
        file = write(pod, person.folder / name, self._program).relative_to(person.folder)
        words = [str(file), "--deposit", DEPOSIT]
        if pod.is_of_any_name:
            words += ["--name", name]
        if pod.fails:
            said = person.run("deploy", *words, code=ExitCode.REFUSED)
            assert pod.fails in said.json["error"]["what"]
            assert said.json["money"]["state"] == "released"
            return
        if pod.lacks:
            said = person.run("deploy", *words, code=ExitCode.REFUSED)
            assert pod.lacks in said.json["error"]["what"]
            assert "money" not in said.json
            return
        if pod.stops:
            stops(person, words, pod)
            return
        with deployed(person, words) as running:
            for service, answers in pod.answers.items():
                for path, part in answers.items():
                    expect(url_of(running.result, service), path, part)


@contextmanager
def deployed(person: Publisher, words: list[str]) -> Iterator[Deployed]:
    """A pod that runs during the block."""
    result = person.run("deploy", *words).json
    try:
        yield Deployed(result["pod"], person.folder / words[0], result)
    finally:
        person.run("delete", result["pod"])


def stops(person: Publisher, words: list[str], pod: Pod) -> None:
    """It ends beside what serves: whoever deploys is told so, at once or by `status` after a request."""
    process = person.start("deploy", *words, "-o", "json")
    out, _ = process.communicate(timeout=PATIENCE_S)
    told = json.loads(out)
    if process.returncode == ExitCode.REFUSED:
        assert pod.stops in told["error"]["what"]
        return

    def reason() -> bool:
        web.get(url_of(told, next(iter(pod.answers))))
        return pod.stops in str(person.run("status", told["pod"]).json["reason"])

    try:
        until("status says why", reason)
    finally:
        person.run("delete", told["pod"])


def url_of(deployed: Json, service: str) -> str:
    """Where the service is reached without TLS."""
    urls = [str(one["url"]) for one in deployed["endpoints"] if one["service"] == service]
    return next(url for url in urls if url.startswith("http://"))


def expect(url: str, path: str, part: str) -> None:
    """The pod answers with *part*: as soon as it listens, which is after its process began."""
    answer = until(f"{path} is answered", lambda: _answered(url, path))
    assert part in answer.text, f"{path}: {answer.text!r} has no {part!r}"


def _answered(url: str, path: str) -> web.Answer | None:
    answer = web.get(url, path)
    return answer if answer.status < 500 else None
