# SPDX-License-Identifier: Apache-2.0
"""Results as a person reads them."""

import pytest

from trustedpods.protocol.messages.pod import PodFailure
from trustedpods.publisher.commands.lines import status_lines

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


def status(failure):
    """What `status -o json` holds of a pod that was proven."""
    return {
        "pod": "shop",
        "phase": "failing" if failure else "serving",
        "reason": "",
        "failure": failure and failure.model_dump(),
        "provider": {"name": "k1"},
        "trust": {"class": "open"},
        "replicas": 0,
        "ready": 0,
        "version": 2,
        "pod_events": [],
        "token": "TPT",
        "deposit": "1",
        "claimed": "0",
        "accrued": "0",
        "channel_open": True,
        "runway_s": None,
    }


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
def test_a_status_tells_why_a_pod_does_not_start(failure, told):
    lines = status_lines(status(failure))
    begin = lines.index("replicas  0 ready of 0, version 2") + 1
    assert lines[begin : begin + len(told)] == told
    assert lines[begin + len(told)].startswith("money")
