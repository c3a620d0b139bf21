# SPDX-License-Identifier: Apache-2.0
"""Results as a person reads them."""

from dataclasses import replace

import pytest

from trustedpods.protocol.messages.pod import PodFailure
from trustedpods.publisher.commands.lines import status_lines
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.verbs import pods

CRASH = PodFailure(
    reason="container web ended: exit code 4",
    container="web",
    exit_code=4,
    ended_at=1_800_000_000,
    lines="one\ntwo",
    tries=3,
    next_try_at=1_800_000_020,
    by_itself=False,
)


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (None, []),
        (
            CRASH,
            [
                "failing   container web ended: exit code 4 (3 in a row)",
                "last end  web: exit code 4 at 2027-01-15 08:00:00Z",
                "          | one",
                "          | two",
                "next try  2027-01-15 08:00:20Z, with the first request then",
            ],
        ),
        (
            CRASH.model_copy(update={"container": None, "exit_code": None, "ended_at": None, "lines": ""}),
            [
                "failing   container web ended: exit code 4 (3 in a row)",
                "next try  2027-01-15 08:00:20Z, with the first request then",
            ],
        ),
    ],
)
async def test_a_status_tells_why_a_pod_does_not_start(bench, failure, told):
    async with bench.peer().serve():
        await bench.deploy()
        result = await pods.status(bench.account, "hello", VisitProgress(), bench.journal())
    phase = "failing" if failure else "serving"
    lines = status_lines(replace(result, phase=phase, failure=failure, version=2, confirmed=None))
    assert lines[0] == f"hello  {phase}"
    begin = lines.index(f"replicas  {result.ready} ready of {result.replicas}, version 2") + 1
    assert lines[begin : begin + len(told)] == told
    assert lines[begin + len(told)].startswith("service")
