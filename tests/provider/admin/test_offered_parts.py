# SPDX-License-Identifier: Apache-2.0
"""The doctor names each class and driver that is offered and not there."""

from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from trustedpods.protocol.errors import NoContext
from trustedpods.protocol.units import Resources
from trustedpods.provider.admin import offered_parts
from trustedpods.provider.admin.doctor import look_at
from trustedpods.provider.core.placement.nodes import NodePlace
from trustedpods.provider.core.placement.offered import ClusterFeatures

LOOKS = (
    ("ingress", offered_parts.ingress),
    ("storage", offered_parts.storage),
    ("csi", offered_parts.csi),
)
DRIVER = "secrets-store.csi.k8s.io"


def node(*drivers):
    return NodePlace(labels={}, taints=(), size=Resources(1, 1, 1), csi_drivers=frozenset(drivers))


BARE = ClusterFeatures({"a": node(), "b": node()}, {})
INSTALLED = ClusterFeatures(
    {"a": node(DRIVER), "b": node(DRIVER)},
    {"local-path": False, "fast": True},
    frozenset({"nginx"}),
    "local-path",
)


@pytest.fixture
def config():
    """One of each is offered."""
    classes = {"nginx": SimpleNamespace(namespace="nginx", pod_labels={"app": "nginx"})}
    cluster = SimpleNamespace(
        kubeconfig="/nowhere", storage_classes={"fast": ["ReadWriteOnce"]}, csi_drivers=[DRIVER]
    )
    return SimpleNamespace(cluster=cluster, ingress=SimpleNamespace(classes=classes))


@pytest.fixture
def shows(monkeypatch):
    """Says what the cluster has, and how many pods of a controller are ready."""

    def show(features, ready=1):
        async def found():
            return features

        async def ready_pods(_namespace, _labels):
            return ready

        @asynccontextmanager
        async def opened(_kubeconfig):
            yield SimpleNamespace(features=found, ready_pods=ready_pods)

        monkeypatch.setattr(offered_parts, "open_cluster", opened)

    return show


async def told(config):
    return {finding.part: (finding.state, finding.text) for finding in await look_at(config, LOOKS)}


async def test_of_a_bare_cluster_each_is_named_and_of_a_whole_one_none(config, shows):
    shows(BARE)
    found = await told(config)
    assert {part: state for part, (state, _) in found.items()} == dict.fromkeys(found, "missing")
    assert "no IngressClass nginx" in found["ingress"][1]
    assert "no StorageClass fast" in found["storage"][1]
    assert f"the CSI driver {DRIVER} is not on a, b" in found["csi"][1]
    shows(INSTALLED)
    assert await told(config) == {
        "ingress": ("ok", "nginx"),
        "storage": ("ok", "local-path, the default; by name fast"),
        "csi": ("ok", DRIVER),
    }


async def test_a_cluster_without_a_default_class_is_whole_and_what_that_means_is_said(config, shows):
    """As setup says of it: a provider may do without volumes."""
    shows(ClusterFeatures(INSTALLED.nodes, {"fast": True}))
    state, text = (await told(config))["storage"]
    assert (state, text.partition(";")[0]) == ("ok", "by name fast")
    config.cluster.storage_classes = {}
    shows(BARE)
    state, text = (await told(config))["storage"]
    assert (state, text.partition(";")[0]) == ("ok", "none by name")
    assert "no default StorageClass" in text


async def test_a_controller_without_a_ready_pod_serves_nobody(config, shows):
    shows(INSTALLED, ready=0)
    assert "no pod of the controller of ingress class nginx is ready" in (await told(config))["ingress"][1]


async def test_a_driver_must_be_on_every_node(config, shows):
    shows(ClusterFeatures({"a": node(DRIVER), "b": node()}, {}))
    with pytest.raises(NoContext, match="is not on b"):
        await offered_parts.csi(config)


async def test_what_nobody_offers_is_not_missed(config, shows):
    config.cluster.csi_drivers, config.ingress.classes = [], {}
    shows(BARE)
    found = await told(config)
    assert (found["ingress"], found["csi"]) == (
        ("ok", "no class is offered"),
        ("ok", "no driver is offered"),
    )
