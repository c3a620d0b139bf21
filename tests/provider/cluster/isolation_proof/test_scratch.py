# SPDX-License-Identifier: Apache-2.0
"""Which end of a probe pod shows that what it wrote had one; the live doctor's test runs the pods."""

import pytest

from trustedpods.protocol.errors import NoContext
from trustedpods.provider.admission import isolation_probe
from trustedpods.provider.cluster.isolation_proof import probe_pods, scratch
from trustedpods.provider.cluster.isolation_proof.probe_pods import ProbePlace
from trustedpods.provider.cluster.isolation_proof.scratch import PLACES, was_ended
from trustedpods.provider.cluster.objects.secret import PULL_SECRET, PullLogin

PLACE = ProbePlace("image", "probes")


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        ({"phase": "Failed", "reason": "Evicted"}, True),
        ({"phase": "Succeeded"}, True),
        ({"phase": "Failed", "reason": "DeadlineExceeded"}, False),
        ({"phase": "Failed"}, False),
        ({"phase": "Running"}, False),
        ({}, False),
    ],
)
def test_only_an_eviction_or_a_full_place_shows_a_bound(status, ended):
    assert was_ended({"status": status}) is ended


class FakeApi:
    """Pods that end as they are told, some looks after all of them run."""

    def __init__(self, ends):
        self.ends = ends
        self.pods = {}
        self.looks = 0
        self.deleted = []
        self.made = []

    async def call(self, method, path, **_more):
        raise AssertionError(f"{method} {path}")

    async def items(self, path, *_labels):
        self.looks += path.endswith("/pods")
        return list(self.pods.values()) if path.endswith("/pods") else []

    async def delete(self, path):
        self.deleted.append(path)


@pytest.fixture
def api(monkeypatch):
    fake = FakeApi({})

    async def apply(_api, made):
        fake.made.append(made)
        if made["kind"] == "Pod":
            name = made["metadata"]["name"]
            fake.pods[name] = made | {"status": fake.ends.get(name, {"phase": "Running"})}

    monkeypatch.setattr(scratch, "apply", apply)
    monkeypatch.setattr(probe_pods, "apply", apply)
    return fake


EVICTED = {"phase": "Failed", "reason": "Evicted"}


@pytest.mark.parametrize("open_ones", [set(), {"volume"}, {"termination-log", "volume"}, set(PLACES)])
async def test_the_places_whose_probe_goes_on_are_told(api, open_ones, virtual_time):
    api.ends = dict.fromkeys(PLACES.keys() - open_ones, EVICTED)
    found = await scratch.unbounded(api, PLACE)
    assert found == [place for name, place in PLACES.items() if name in open_ones]
    assert api.deleted == ["/api/v1/namespaces/probes"]
    assert {pod["spec"]["restartPolicy"] for pod in api.pods.values()} == {"Never"}


async def test_a_pod_that_never_starts_proves_nothing(api, monkeypatch, virtual_time):
    async def why(_api, _namespace, name):
        return f"no image for {name}"

    monkeypatch.setattr(probe_pods, "why", why)
    api.ends = dict.fromkeys(PLACES, EVICTED) | {"logs": {"phase": "Pending"}}
    with pytest.raises(NoContext, match="probe pod logs does not start: no image for logs"):
        await scratch.unbounded(api, PLACE)


async def test_each_open_place_is_named_with_what_helps():
    class Cluster:
        async def unbounded_places(self, _place):
            return [PLACES["volume"], PLACES["termination-log"]]

    with pytest.raises(NoContext, match="into an image's VOLUME and /dev/termination-log") as told:
        await isolation_probe.scratch_at(Cluster(), PLACE)
    assert "ignore_image_defined_volumes" in told.value.hint
    assert "trustedpods-termination-logs.service" in told.value.hint


async def test_pods_are_on_the_node_that_is_tried_and_say_its_password(api, virtual_time):
    api.ends = dict.fromkeys(PLACES, EVICTED)
    place = ProbePlace("image", "probes", "k1n2", PullLogin("registry:5000", "node", "secret"))
    assert await scratch.unbounded(api, place) == []
    for pod in api.pods.values():
        assert pod["spec"]["nodeName"] == "k1n2"
        assert pod["spec"]["imagePullSecrets"] == [{"name": PULL_SECRET}]
        assert pod["spec"]["containers"][0]["image"] == "image"
    [secret] = [made for made in api.made if made["kind"] == "Secret"]
    assert secret["metadata"] == {"name": PULL_SECRET, "namespace": "probes"}


async def test_elsewhere_the_cluster_chooses_and_nobody_is_asked_for_a_password(api, virtual_time):
    api.ends = dict.fromkeys(PLACES, EVICTED)
    await scratch.unbounded(api, PLACE)
    assert all(not {"nodeName", "imagePullSecrets"} & pod["spec"].keys() for pod in api.pods.values())
    assert "Secret" not in {made["kind"] for made in api.made}
