# SPDX-License-Identifier: Apache-2.0
"""What is asked for of a replica's CPU while it is frozen, and how what it has awake is known again."""

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.units import Resources
from trustedpods.provider.cluster.objects import sizes
from trustedpods.provider.cluster.objects.names import AWAKE_CPU
from trustedpods.provider.cluster.objects.workload import awake_cpu


def container(name, cpu, limit=None, **more):
    amounts = {"cpu": f"{cpu}m", "memory": "64Mi"}
    limits = {**amounts, "cpu": f"{cpu if limit is None else limit}m"}
    return {"name": name, "resources": {"requests": amounts, "limits": limits}, **more}


def pod(*containers, init=()):
    spec = {"containers": list(containers)}
    if init:
        spec["initContainers"] = list(init)
    return {"metadata": {"uid": "u", "annotations": {"other": "x"}}, "spec": spec}


def noted(found):
    note = {AWAKE_CPU: awake_cpu.note_of(found)}
    return {**found, "metadata": {**found["metadata"], "annotations": note}}


def patched(found, steps):
    """As the API server carries a JSON patch of replacements out."""
    result = deepcopy(found)
    for step in steps:
        *way, last = step["path"].strip("/").split("/")
        place = result
        for part in way:
            place = place[int(part)] if isinstance(place, list) else place[part]
        if step["op"] == "test":
            assert place[last] == step["value"]
        else:
            assert last in place
            place[last] = step["value"]
    return result


@given(st.lists(st.integers(1, 64_000), min_size=1, max_size=4), st.lists(st.integers(1, 4000), max_size=2))
def test_there_and_back_is_as_before_and_what_is_lent_is_the_difference(cpus, sidecars):
    init = [container(f"s{n}", cpu, restartPolicy="Always") for n, cpu in enumerate(sidecars)]
    awake = noted(pod(*(container(f"c{n}", cpu) for n, cpu in enumerate(cpus)), init=init))
    whole = sizes.requested_by(awake["spec"])
    asleep = patched(awake, awake_cpu.steps(awake, asleep=True))
    held = sizes.requested_by(asleep["spec"])
    assert held.cpu_milli == len(cpus) + len(sidecars)
    assert awake_cpu.lent_milli(asleep) == whole.cpu_milli - held.cpu_milli
    assert sizes.requested_by(awake_cpu.awake_spec(asleep)) == whole
    assert held == Resources(held.cpu_milli, whole.memory_mib, whole.storage_mib)
    for one in (*asleep["spec"]["containers"], *asleep["spec"].get("initContainers", ())):
        assert one["resources"]["requests"] == one["resources"]["limits"], "its class of service stays"
    back = patched(asleep, awake_cpu.steps(asleep, asleep=False))
    assert back == awake
    assert awake_cpu.lent_milli(awake) == 0


def test_what_it_has_already_is_not_asked_for():
    awake = noted(pod(container("a", 100), container("b", 1)))
    assert awake_cpu.steps(awake, asleep=False) == []
    asleep = patched(awake, awake_cpu.steps(awake, asleep=True))
    assert awake_cpu.steps(asleep, asleep=True) == []


def test_a_part_of_the_way_is_gone_on_from():
    """Whoever sees a replica of which one container is asleep mends that one alone."""
    awake = noted(pod(container("a", 100), container("b", 200)))
    asleep = patched(awake, awake_cpu.steps(awake, asleep=True))
    half = {
        **asleep,
        "spec": {"containers": [asleep["spec"]["containers"][0], awake["spec"]["containers"][1]]},
    }
    paths = [step["path"] for step in awake_cpu.steps(half, asleep=False)]
    assert paths[1:] == [f"/spec/containers/0/resources/{side}/cpu" for side in ("requests", "limits")]
    assert awake_cpu.lent_milli(half) == 99


def test_what_kubernetes_changes_not_in_place_lends_nothing():
    """An init container holds the room of the largest moment, though it has ended long ago."""
    large = noted(pod(container("a", 100), init=[container("i", 500)]))
    asleep = patched(large, awake_cpu.steps(large, asleep=True))
    assert awake_cpu.lent_milli(asleep) == 0
    assert awake_cpu.asks_less(asleep), "whoever finds it has to give it back"
    assert not awake_cpu.asks_less(large)
    bursts = noted(pod(container("a", 100, limit=200)))
    assert awake_cpu.steps(bursts, asleep=True) == []


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": -1}', '{"a": "100"}', '{"a": true}', '{"a": 1.5}'])
def test_a_note_that_makes_no_sense_is_none(text):
    found = pod(container("a", 100))
    found["metadata"]["annotations"][AWAKE_CPU] = text
    assert awake_cpu.noted(found) == {}
    assert awake_cpu.awake_spec(found) == found["spec"]
    assert awake_cpu.steps(found, asleep=True) == []
    assert awake_cpu.lent_milli(found) == 0
