# SPDX-License-Identifier: Apache-2.0
"""When every controller has seen a number of replicas."""

from hypothesis import given
from hypothesis import strategies as st

from trustedpods.provider.cluster.rollout import Rollout, rollout


def controlled(replicas: int, generation: int = 3, observed: int | None = 3) -> dict:
    status = {} if observed is None else {"observedGeneration": observed}
    return {"metadata": {"generation": generation}, "spec": {"replicas": replicas}, "status": status}


def test_settled_when_all_have_seen_it():
    assert rollout(controlled(2), [controlled(2)]) == Rollout(2, settled=True)


def test_an_older_life_of_the_same_pod_has_nothing_left():
    assert rollout(controlled(2), [controlled(0), controlled(2)]).settled
    assert not rollout(controlled(2), [controlled(1), controlled(2)]).settled


def test_not_settled_while_a_controller_is_behind():
    assert not rollout(controlled(1, observed=2), [controlled(1)]).settled
    assert not rollout(controlled(1), [controlled(1, observed=2)]).settled
    assert not rollout(controlled(1), [controlled(1, observed=None)]).settled
    assert not rollout(controlled(1), [controlled(0)]).settled, "not handed on yet"
    assert not rollout(controlled(1), []).settled, "made by nobody yet"


def test_nothing_asked_for_and_nothing_made_is_settled():
    assert rollout(controlled(0), []) == Rollout(0, settled=True)


def test_a_number_that_is_not_there_is_one():
    one = {"metadata": {"generation": 1}, "spec": {}, "status": {"observedGeneration": 1}}
    assert rollout(one, [controlled(1)]) == Rollout(1, settled=True)


numbers = st.integers(0, 5)


@given(numbers, numbers, numbers, numbers, numbers)
def test_settled_never_with_one_behind(
    wanted: int, handed: int, generation: int, deployment: int, replica_set: int
):
    found = rollout(controlled(wanted, generation, deployment), [controlled(handed, generation, replica_set)])
    assert found.settled == (wanted == handed and min(deployment, replica_set) >= generation)
