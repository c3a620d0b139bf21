# SPDX-License-Identifier: Apache-2.0
"""Clients of the shipped nodes that sign together: sessions at all three, over the providers' facades."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from tests.live.clients.publisher import Json

ANSWER_S = 90
"""A node waits for a minute for the other parties of a session."""


@dataclass(frozen=True)
class Said:
    """What the three nodes answered to one request."""

    statuses: tuple[int, ...]
    answers: tuple[Json, ...]

    @property
    def well(self) -> bool:
        return set(self.statuses) == {200}

    def same(self, word: str) -> str:
        """What all three say alike."""
        (found,) = {str(one[word]) for one in self.answers}
        return found


@dataclass(frozen=True)
class Client:
    """One client's session; of each node, in their order, its URL and the key that its owner gave."""

    nodes: tuple[tuple[str, str], ...]
    session: str = field(default_factory=lambda: secrets.token_hex(8))

    def ask(self, what: str, **words: str) -> Said:
        """The same of all three nodes at once."""
        return self.ask_each(what, [words] * len(self.nodes))

    def ask_each(self, what: str, words: list[dict[str, str]]) -> Said:
        """Something of each node, at once."""
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            found = list(pool.map(lambda node, said: self._one(node, what, said), self.nodes, words))
        return Said(tuple(status for status, _ in found), tuple(told for _, told in found))

    def _one(self, node: tuple[str, str], what: str, words: dict[str, str]) -> tuple[int, Json]:
        url, key = node
        parts = urlsplit(url)
        headers = {"Host": parts.netloc, "Session": self.session, "Authorization": f"Bearer {key}"}
        target = f"http://127.0.0.1:{parts.port}/{what}"
        try:
            answer = httpx.post(target, json=words, headers=headers, timeout=ANSWER_S, trust_env=False)
        except httpx.TransportError as error:
            return 0, {"error": repr(error)}
        try:
            return answer.status_code, dict(answer.json())
        except ValueError:
            return answer.status_code, {"error": answer.text}
