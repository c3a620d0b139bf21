# SPDX-License-Identifier: Apache-2.0
"""From `apt install` on a node, as docs/operator.md says it, to a served pod; and away again.

`soak`: the package is built. The machine shares the network of a localnet's node, which has no provider.
"""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.debian.machine import Machine
from tests.deploy.debian.machine_operator import MOST_COMMANDS, SETTINGS, Operator, prepared, say
from tests.deploy.debian.packages import UNPACKED, deb
from tests.live.clients import web
from tests.live.clients.publisher import Publisher
from tests.live.localnet_fixture import LiveLocalnet, localnet
from tests.live.observers.money import Bank
from tests.paths import ROOT
from trustedpods.localnet.network import NAMESPACES
from trustedpods.localnet.settings import Knobs

pytestmark = [pytest.mark.live, pytest.mark.soak, pytest.mark.timeout(1500)]

WRITTEN_BY_OTHERS = ("var/log", "var/cache", "var/lib/apt", "var/lib/systemd", "var/lib/dpkg", "var/tmp")
"""apt's and systemd's own, which a machine writes that runs."""

DISABLED = re.compile(r"etc/rc[0-6]\.d/K[0-9]{2}(haproxy|docker-registry)")
"""By the operator, who typed it."""


@pytest.fixture
def node() -> Iterator[LiveLocalnet]:
    with localnet(knobs=Knobs(provider=False)) as running:
        yield running


def test_from_an_install_to_a_served_pod_and_nothing_is_left_behind(
    node: LiveLocalnet, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    machine = prepared(node, tmp_path / "machine", deb.package(ROOT, deb.parts_of(ROOT, out), out, UNPACKED))
    namespace = node.cluster().namespace
    assert namespace is not None
    publisher = Publisher(node, Bank(node).new_account(tmp_path), tmp_path)
    with machine.running(NAMESPACES / namespace) as running:
        operator = Operator(node, running, machine.root, [])
        before, users = machine.files(), machine.text(["etc/passwd", "etc/group"])
        began = time.monotonic()
        operator.install()
        operator.enter_the_market()
        pod = publisher.deploy(publisher.manifest("hello", "hello"), "--trust", "open")
        answer = web.get(pod.url, "/cgi-bin/whoami", at=f"{node.cluster().node_ip}:80")
        assert "hello from a trusted pod" in answer.text
        took, load = time.monotonic() - began, os.getloadavg()[0]
        say(operator, f"a pod is served after {took:.0f} s, load {load:.0f}")
        assert len(operator.typed) <= MOST_COMMANDS
        publisher.close()
        leave(operator, machine, before)
        assert machine.text(["etc/passwd", "etc/group"]) == users


def leave(operator: Operator, machine: Machine, before: set[str]) -> None:
    """Remove keeps what was earned with, purge keeps nothing."""
    operator.type("apt remove --yes trusted-pods-provider")
    left = ours(machine.files() - before)
    assert {f"{SETTINGS}/provider.toml", f"{SETTINGS}/operator.key", "var/lib/trustedpods/store.db"} <= left
    assert [name for name in left if name.startswith("usr/")] == []
    assert "active" not in operator.machine.run("systemctl is-active 'trustedpods-*'").stdout.split()
    operator.type("apt purge --yes trusted-pods-provider")
    assert ours(machine.files() - before) == set()
    known = "systemctl list-units --all --no-legend --state=loaded,active,failed 'trustedpods*'"
    assert operator.machine.done(known) == ""
    assert operator.machine.run("ls /run/trustedpods").returncode != 0


def ours(names: set[str]) -> set[str]:
    return {name for name in names if not (name.startswith(WRITTEN_BY_OTHERS) or DISABLED.fullmatch(name))}
