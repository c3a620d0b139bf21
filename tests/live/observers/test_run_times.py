# SPDX-License-Identifier: Apache-2.0
"""How long a replica counts, by the states in which the API server showed it."""

import pytest

from tests.live.observers.run_times import Json, served

START, TURNED, ASKED, END = (f"2026-03-01T10:00:{second}Z" for second in ("00", "16", "18", "19"))


def state(phase: str, container: Json | None, *, asked: bool = False) -> Json:
    """The Pod object with one container in this state; None: its status tells of no container."""
    ready = TURNED if phase == "Failed" else START
    status: Json = {
        "phase": phase,
        "startTime": START,
        "conditions": [{"type": "Ready", "lastTransitionTime": ready}],
        "containerStatuses": [] if container is None else [{"state": container}],
    }
    metadata = {"deletionTimestamp": ASKED, "deletionGracePeriodSeconds": 0} if asked else {}
    return {"metadata": metadata, "status": status}


WAITS = state("Pending", {"waiting": {"reason": "ContainerCreating"}})
RUNS = state("Running", {"running": {"startedAt": START}})
EVICTED_EARLY = state("Failed", {"running": {"startedAt": START}})
LOST = state(
    "Failed", {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "finishedAt": None}}
)
EVICTED = state("Failed", {"terminated": {"exitCode": 137, "finishedAt": END}})
REFUSED = state("Failed", None)
DELETED = state("Running", {"terminated": {"exitCode": 0, "finishedAt": END}}, asked=True)


@pytest.mark.parametrize(
    ("states", "seconds"),
    [
        pytest.param([WAITS, RUNS, DELETED], 19, id="deleted"),
        pytest.param([WAITS, RUNS, EVICTED], 19, id="evicted, with an end"),
        pytest.param([WAITS, RUNS, EVICTED_EARLY], 16, id="evicted, still called running"),
        pytest.param([WAITS, RUNS, EVICTED_EARLY, EVICTED], 16, id="an end that comes too late"),
        pytest.param([WAITS, RUNS, LOST], 16, id="the container's end is lost"),
        pytest.param([WAITS, LOST], 0, id="lost before it ran"),
        pytest.param([WAITS, REFUSED], 0, id="refused by the kubelet"),
        pytest.param([WAITS], 0, id="never ran"),
    ],
)
def test_seconds_of_a_replica_by_its_states(states: list[Json], seconds: int) -> None:
    assert served(states) == seconds
