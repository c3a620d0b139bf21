# SPDX-License-Identifier: Apache-2.0
"""Which end of a probe pod shows that what it wrote had one; the live doctor's test runs the pods."""

import pytest

from trustedpods.protocol.errors import NoContext
from trustedpods.provider.admission import isolation_probe
from trustedpods.provider.cluster.isolation_proof import probe_pods, scratch
from trustedpods.provider.cluster.isolation_proof.scratch import PLACES, was_ended


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
    found = await scratch.unbounded(api, "image", "probes")
    assert found == [place for name, place in PLACES.items() if name in open_ones]
    assert api.deleted == ["/api/v1/namespaces/probes"]
    assert {pod["spec"]["restartPolicy"] for pod in api.pods.values()} == {"Never"}


async def test_a_pod_that_never_starts_proves_nothing(api, monkeypatch, virtual_time):
    async def why(_api, _namespace, name):
        return f"no image for {name}"

    monkeypatch.setattr(probe_pods, "why", why)
    api.ends = dict.fromkeys(PLACES, EVICTED) | {"logs": {"phase": "Pending"}}
    with pytest.raises(NoContext, match="probe pod logs does not start: no image for logs"):
        await scratch.unbounded(api, "image", "probes")


async def test_each_open_place_is_named_with_what_helps(monkeypatch):
    class Cluster:
        async def unbounded_places(self, _image, _namespace):
            return [PLACES["volume"], PLACES["termination-log"]]

    class NoImage:
        async def __aenter__(self):
            return "image", "namespace"

        async def __aexit__(self, *_error):
            return None

    monkeypatch.setattr(isolation_probe, "_probe_image", lambda _config: NoImage())
    with pytest.raises(NoContext, match="into an image's VOLUME and /dev/termination-log") as told:
        await isolation_probe.scratch_of(None, Cluster())
    assert "ignore_image_defined_volumes" in told.value.hint
    assert "trustedpods-termination-logs.service" in told.value.hint
