# SPDX-License-Identifier: Apache-2.0
"""The account that `setup` makes in a cluster: by an administrator's rights, and by none but those."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.waiting import until
from trustedpods.protocol.errors import Refused
from trustedpods.provider.setup.daemon_account import NAME, NAMESPACE
from trustedpods.provider.setup.site import RealSite

pytestmark = pytest.mark.live

EVERYWHERE = ("delete", "--ignore-not-found", "clusterrole,clusterrolebinding", NAME)
INSIDE = ("delete", "--ignore-not-found", "-n", NAMESPACE, "secret,serviceaccount", NAME)
"""As docs/operator.md has them."""


@pytest.fixture
def unused(market: LiveLocalnet) -> Iterator[LiveLocalnet]:
    """A cluster without that account, also afterwards."""
    try:
        yield market
    finally:
        market.kubectl(*EVERYWHERE)
        market.kubectl(*INSIDE)


def made(cluster: LiveLocalnet) -> list[str]:
    kinds = "clusterroles,clusterrolebindings,serviceaccounts,secrets"
    names = cluster.kubectl("get", kinds, "--all-namespaces", "-o", "name").split()
    return sorted(name.partition(".")[0].partition("/")[0] for name in names if name.endswith(f"/{NAME}"))


def test_it_is_made_by_an_administrator_twice_the_same_and_not_over_somebody_elses(
    unused: LiveLocalnet, tmp_path: Path
) -> None:
    admin, own = unused.cluster().path("pki", "admin.conf"), tmp_path / "kubeconfig"
    assert made(unused) == []
    text = trio.run(RealSite().own_access, str(admin))
    assert made(unused) == ["clusterrole", "clusterrolebinding", "secret", "serviceaccount"]
    assert trio.run(RealSite().own_access, str(admin)) == text
    own.write_text(text)
    until("the cluster knows its rights", lambda: reaches(own))

    unused.kubectl("label", "clusterrolebinding", NAME, "app.kubernetes.io/managed-by=Helm", "--overwrite")
    with pytest.raises(Refused, match="the ClusterRoleBinding trustedpods-provider is there"):
        trio.run(RealSite().own_access, str(admin))

    unused.kubectl(*EVERYWHERE)
    with pytest.raises(Refused, match="forbidden"):
        trio.run(RealSite().own_access, str(own))
    assert made(unused) == ["secret", "serviceaccount"]


def test_by_rights_that_make_no_roles_nothing_is_made(unused: LiveLocalnet) -> None:
    daemons = unused.cluster().path("pki", "provider.conf")
    with pytest.raises(Refused, match="forbidden"):
        trio.run(RealSite().own_access, str(daemons))
    assert made(unused) == []


def reaches(kubeconfig: Path) -> bool:
    """Whether `setup` finds what it looks for by it; rights take a moment until they hold."""
    try:
        return bool(trio.run(RealSite().cluster, str(kubeconfig)).nodes)
    except Refused:
        return False
