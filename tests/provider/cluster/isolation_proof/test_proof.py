# SPDX-License-Identifier: Apache-2.0
"""What is concluded from the calls of the probe pods, however slow their node is."""

import httpx
import pytest
import trio
from trio.testing import MockClock

from trustedpods.provider.cluster.isolation_proof import proof


class Caller:
    """Stands for the API server: the calling pod's log grows by a line each *pace_s*, as *word* says."""

    def __init__(self, words: str, pace_s: float) -> None:
        self._words = {"o": "open", "s": "shut"}
        self._plan, self._pace_s, self._began = words, pace_s, trio.current_time()

    async def call(self, method: str, path: str, query: dict[str, str]) -> httpx.Response:
        done = int((trio.current_time() - self._began) // self._pace_s)
        plan = self._plan + self._plan[-1] * done
        lines = []
        for number in range(done):
            lines += ["nc: timed out\n"] if plan[number] == "s" else []
            lines.append(f"{number + 1} {self._words[plan[number]]}\n")
        return httpx.Response(200, text="".join(lines[-int(query["tailLines"]) :]))


@pytest.mark.parametrize(
    ("words", "pace_s", "wanted", "becomes", "within_s"),
    [
        pytest.param("o", 0.1, "open", True, 1, id="a quick node"),
        pytest.param("o", 7.0, "open", True, 15, id="a node so busy that a call takes seven seconds"),
        pytest.param("ooos", 4.0, "shut", True, 21, id="shut at last"),
        pytest.param("oooso", 0.1, "shut", False, 11, id="one late call shuts nothing"),
        pytest.param("o", 0.1, "shut", False, 11, id="policies are ignored"),
        pytest.param("o", 5.0, "shut", False, 36, id="policies are ignored on a busy node"),
        pytest.param("o", 1000.0, "open", False, 61, id="a node on which nothing runs"),
    ],
)
async def test_calls_are_counted_and_not_only_seconds(
    words: str, pace_s: float, wanted: str, becomes: bool, within_s: float, virtual_time: MockClock
) -> None:
    began = trio.current_time()
    calls = proof._Calls(Caller(words, pace_s), "ns")
    assert await calls.become(wanted) is becomes
    assert trio.current_time() - began < within_s


@pytest.mark.parametrize(
    ("said", "calls"),
    [
        (b"", []),
        (b"1 open\n2 shut\n", [(1, "open"), (2, "shut")]),
        (b"1 open\n2 sh", [(1, "open")]),
        (b"nc: bad\n\xff\xff\n3 open\n", [(3, "open")]),
    ],
)
def test_only_whole_lines_are_calls(said: bytes, calls: list[tuple[int, str]]) -> None:
    assert proof.calls_in(said) == calls
