# SPDX-License-Identifier: Apache-2.0
"""docs/metering.md, case by case: what the API server shows of a replica, and what is billed for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.provider.cluster.test_views import T0, at, ended, pod
from trustedpods.provider.billing.meter import end_of, run_of, unsure_since
from trustedpods.provider.cluster.views import NodeView, pod_view
from trustedpods.provider.core.metering import Ledger, Run, usage

RUNS = {"running": {"startedAt": at(3)}}
WAITS = {"waiting": {"reason": "CrashLoopBackOff"}}
PULLS = {"waiting": {"reason": "ImagePullBackOff"}}
NEVER = {"waiting": {"reason": "PodInitializing"}}


def status(name, state, last=None):
    return {"name": name, "state": state, "lastState": last or {}, "restartCount": int(last is not None)}


def billed(**fields):
    """(begin, end) in seconds after T0 of what is billed for a replica; None for nothing."""
    run = run_of(pod_view(pod(**fields)))
    if run is None:
        return None
    return run.started - T0, None if run.ended is None else run.ended - T0


GONE = {"deletionTimestamp": at(50), "deletionGracePeriodSeconds": 0}

LAW = {
    "scheduled nowhere": ({"phase": "Pending", "startTime": None}, None),
    "an image that cannot be pulled": (
        {"phase": "Pending", "statuses": [status("a", PULLS), status("b", PULLS)]},
        None,
    ),
    "one of two images cannot be pulled": (
        {"phase": "Pending", "statuses": [status("a", RUNS), status("b", PULLS)]},
        (0, None),
    ),
    "it runs": ({"statuses": [status("a", RUNS)]}, (0, None)),
    "an init container works": (
        {"phase": "Pending", "statuses": [status("a", NEVER)], "initContainerStatuses": [status("i", RUNS)]},
        (0, None),
    ),
    "an init container fails for ever": (
        {
            "phase": "Pending",
            "statuses": [status("a", NEVER)],
            "initContainerStatuses": [status("i", WAITS, ended(9, 1))],
        },
        (0, None),
    ),
    "deleted while an init container failed": (
        {
            "phase": "Failed",
            "statuses": [status("a", NEVER)],
            "initContainerStatuses": [status("i", ended(12, 1), ended(9, 1))],
            "metadata": GONE,
        },
        (0, 12),
    ),
    "a crash loop waits": ({"statuses": [status("a", WAITS, ended(9, 1))]}, (0, None)),
    "deleted in a crash loop's pause": (
        {"phase": "Failed", "statuses": [status("a", WAITS, ended(31, 1))], "metadata": GONE},
        (0, 31),
    ),
    "out of memory, and started again": (
        {"statuses": [status("a", RUNS, ended(7, 137, reason="OOMKilled"))]},
        (0, None),
    ),
    "one of two containers has ended": (
        {"statuses": [status("a", ended(9)), status("b", RUNS)]},
        (0, None),
    ),
    "the last container ends it": (
        {"phase": "Succeeded", "statuses": [status("a", ended(9)), status("b", ended(20))]},
        (0, 20),
    ),
    "asked to end, and still ending": (
        {
            "statuses": [status("a", RUNS)],
            "metadata": {"deletionTimestamp": at(60), "deletionGracePeriodSeconds": 30},
        },
        (0, None),
    ),
    "ended, and nobody says when": ({"phase": "Failed", "statuses": []}, None),
}


@pytest.mark.parametrize("case", LAW)
def test_what_is_billed(case):
    fields, expected = LAW[case]
    assert billed(**fields) == expected


UNKNOWN = {"terminated": {"finishedAt": None, "exitCode": 137, "reason": "ContainerStatusUnknown"}}


def condition(kind, second):
    return {"type": kind, "status": "False", "lastTransitionTime": at(second)}


ENDS = {
    "evicted: the node turned its conditions": (
        {"conditions": [condition("Ready", 20), condition("DisruptionTarget", 19)]},
        20,
    ),
    "evicted, then deleted": ({"conditions": [condition("Ready", 20)], "metadata": GONE}, 20),
    "deleted, and turned later": ({"conditions": [condition("Ready", 70)], "metadata": GONE}, 50),
    "nothing says when: as soon as it is seen": ({}, 90),
    "a time that is to come": ({"conditions": [condition("Ready", 500)]}, 90),
}


@pytest.mark.parametrize("case", ENDS)
def test_a_replica_of_which_no_container_says_its_end_ends_all_the_same(case):
    fields, expected = ENDS[case]
    view = pod_view(pod(statuses=[status("a", UNKNOWN)], phase="Failed", **fields))
    assert view.over
    assert view.finished_at is None
    assert end_of(view, T0 + 90) - T0 == expected


@pytest.mark.parametrize(
    ("others", "silent", "gone", "since"),
    [
        (0, False, {}, None),
        (0, True, {}, None),
        (2, False, {}, 30),
        (2, True, {}, 30),
        (2, True, {"deletionTimestamp": at(80), "deletionGracePeriodSeconds": 30}, None),
        (2, False, {"deletionTimestamp": at(80), "deletionGracePeriodSeconds": 30}, 30),
    ],
)
def test_what_runs_on_one_of_several_nodes_counts_for_sure_until_that_was_heard(others, silent, gone, since):
    view = pod_view(pod(statuses=[status("a", RUNS)], metadata=gone))
    nodes = {f"other-{number}": NodeView(T0 + 90, silent=False) for number in range(others)}
    nodes[view.node] = NodeView(T0 + 30, silent=silent)
    assert unsure_since(view, nodes, T0 + 90) == (None if since is None else T0 + since)
    nodes[view.node] = NodeView(T0 + 900, silent=silent)  # its clock is ahead
    assert unsure_since(view, nodes, T0 + 90) == (None if since is None else T0 + 90)


@given(
    st.lists(
        st.tuples(st.integers(-1000, 3000), st.none() | st.integers(0, 5000), st.integers(1, 4000)),
        max_size=5,
    ),
    st.integers(0, 1000),
    st.integers(1, 1000),
)
def test_no_interval_is_longer_than_its_chain_time(runs, from_, length):
    """Whatever clocks say: a replica that claims to run before, after or for ever is cut to the period."""
    book = Ledger(
        runs=tuple(
            Run(str(n), started, None if took is None else started + took, cpu, 64, 0)
            for n, (started, took, cpu) in enumerate(runs)
        )
    )
    found = usage(book, from_, from_ + length)
    assert found.cpu_core_ms <= sum(cpu for _, _, cpu in runs) * length
    assert found.memory_mib_s <= 64 * len(runs) * length
