# SPDX-License-Identifier: Apache-2.0
"""Clients that each keep a session with one replica of a pod, and ask it again and again."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

ANSWER_S = 30.0
PAUSE_S = 0.1


@dataclass
class Session:
    """One client: which replicas answered it, "" where none did, in the order of its requests."""

    url: str
    name: str
    hosts: list[str] = field(default_factory=list)

    def ask(self) -> str:
        """One request, on a connection of its own."""
        parts = urlsplit(self.url)
        headers = {"Host": parts.netloc, "Session": self.name}
        target = f"http://127.0.0.1:{parts.port}/cgi-bin/whoami"
        try:
            answer = httpx.get(target, headers=headers, timeout=ANSWER_S, trust_env=False)
        except httpx.TransportError:
            host = ""
        else:
            lines = answer.text.splitlines() if answer.status_code == 200 else []
            host = next((line.removeprefix("host ") for line in lines if line.startswith("host ")), "")
        self.hosts.append(host)
        return host

    @property
    def answered(self) -> list[str]:
        """The replicas that answered, each once, in their order."""
        return list(dict.fromkeys(host for host in self.hosts if host))

    @property
    def failed(self) -> int:
        """Requests without an answer."""
        return self.hosts.count("")


@contextmanager
def asking(sessions: list[Session]) -> Iterator[None]:
    """All ask while the block runs, one request after the other each."""
    over = threading.Event()

    def run(session: Session) -> None:
        while not over.wait(PAUSE_S):
            session.ask()

    threads = [threading.Thread(target=run, args=(session,)) for session in sessions]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
