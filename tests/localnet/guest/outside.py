# SPDX-License-Identifier: Apache-2.0
"""The guest's supervisor in namespaces instead of a machine, and who stands outside: `python -m ... FOLDER`.

Called in network, mount and process namespaces of its own, which stand for the host. A further network
namespace stands for the guest, with one card. Prints as JSON what was reached and what listens inside; the
whole is as fast as a localnet, and says nothing of kernel, disks or measurement.
"""

import dataclasses
import ipaddress
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import trio

from tests.localnet.guest.configurations import one_cluster, written
from tests.localnet.guest.pod_ports import ASKED
from tests.localnet.guest.rights import Rights
from tests.localnet.guest.story import Story
from trustedpods.localnet import network
from trustedpods.localnet.cluster import binaries
from trustedpods.localnet.commands import run
from trustedpods.localnet.folders import save_settings
from trustedpods.localnet.guest.main import STATE
from trustedpods.localnet.market import accounts, market
from trustedpods.localnet.market import files as market_files
from trustedpods.localnet.processes import probes, processes, supervisor
from trustedpods.localnet.settings import ClusterSettings, Ports, Settings

HOST, GUEST = "10.0.2.2", "10.0.2.15"
CHAIN_PORT = 8545
LIMIT_S = 540.0
_HELLO = b"/multistream/1.0.0\n"
_LISTENS = "0A"


def main(folder: Path) -> None:
    """All of it; everything ends with the caller's process namespace."""
    guest = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
    _links(guest.pid)
    configuration = _configuration(folder)
    log = (folder / "supervisor.log").open("wb")
    inside = ["nsenter", f"--net=/proc/{guest.pid}/ns/net", sys.executable, "-c", _PROGRAM]
    running = subprocess.Popen([*inside, configuration], stdout=log, stderr=subprocess.STDOUT)
    _wait(running)
    found = {
        "hello": _hello(),
        "reached": _reached(),
        "listening": _listening(guest.pid),
        "nodes": _nodes(guest.pid),
        "rights": Rights(inside[:2]).told(),
        "story": Story(folder, folder / "outside", GUEST, inside[:2]).tell(),
    }
    sys.stdout.write(json.dumps(found) + "\n")


_PROGRAM = "import sys; from trustedpods.localnet.guest.main import main; sys.exit(main())"


def _links(guest: int) -> None:
    run(["ip", "link", "set", "lo", "up"])
    _until(lambda: os.readlink(f"/proc/{guest}/ns/net") != os.readlink("/proc/self/ns/net"))
    run(["ip", "link", "add", "card", "type", "veth", "peer", "name", "eth0", "netns", str(guest)])
    run(["ip", "address", "add", f"{HOST}/24", "dev", "card"])
    run(["ip", "link", "set", "card", "up"])
    run(["ip", "route", "add", "10.201.0.0/16", "via", GUEST, "dev", "card", "onlink"])


def _configuration(folder: Path) -> Path:
    """A chain with a market, and what the operator writes."""
    ports = Ports(chain=CHAIN_PORT, http=80, registry=5000, metrics=9464, peer=4001)
    here = Settings(
        name="outside", state=folder / "outside", octet=0, clusters=(ClusterSettings(index=1, ports=ports),)
    )
    here.state.mkdir()
    save_settings(here)
    argv = [binaries.anvil(), "--host", "0.0.0.0", "--chain-id", str(here.chain_id), "--block-time", "1"]
    subprocess.Popen([*argv, "--accounts", "1", "--quiet"], stdout=subprocess.DEVNULL)
    _until(_chain_listens)
    trio.run(market.make, here)
    (one,) = here.all_clusters()
    whole = written()
    whole["market"] = {"rpc": f"http://{HOST}:{CHAIN_PORT}", **_market(here)}
    whole["operator"] |= {
        "owner": accounts.address(accounts.owner_key(one)),
        "operator_key": accounts.operator_key(one).read_text().strip(),
        "tee": "none",
        "trust": "open",
        "announce": [f"/ip4/{GUEST}/tcp/4001"],
    }
    whole["terms"] = {"unlock_s": 60, "claim_interval_s": 600, "warn_before_s": 12, "idle_after_s": 2}
    file = folder / "configuration.json"
    file.write_text(json.dumps(whole))
    return file


def _chain_listens() -> bool:
    probes.tcp(None, "127.0.0.1", CHAIN_PORT)
    return True


def _market(here: Settings) -> dict[str, object]:
    return dataclasses.asdict(market_files.read_market(here.state))


def _wait(running: "subprocess.Popen[bytes]") -> None:
    """Until the daemon is ready. The supervisor's own end is an error at once."""

    def ready() -> bool:
        if running.poll() is not None:
            raise SystemExit(f"the supervisor ended with {running.returncode}")
        states = {unit.name: unit.state for unit in supervisor.read_status(STATE)}
        return states.get("k1/provider") == "ready"

    _until(ready)


def _until(holds) -> None:
    end = time.monotonic() + LIMIT_S
    while True:
        try:
            if holds():
                return
        except OSError:
            pass
        if time.monotonic() > end:
            units = supervisor.read_status(STATE)
            told = [f"{one.name} {one.state}: {one.note}" for one in units]
            told += [processes.last_line(log) for log in sorted((STATE / "log").glob("*.log"))]
            raise SystemExit("\n".join([f"not within {LIMIT_S:.0f} s", *told]))
        time.sleep(0.1)


def _hello() -> str:
    """What the daemon says first to whoever connects to its port of libp2p."""
    with network.connect(None, GUEST, 4001, 10.0) as made:
        made.sendall(bytes([len(_HELLO)]) + _HELLO)
        return made.recv(64)[1:].decode().strip()


def _reached() -> list[str]:
    """Which of the ports take a connection from outside, at the card's address and at the node's."""

    def asked(place: tuple[str, int]) -> bool:
        try:
            network.connect(None, *place, 3.0).close()
        except OSError:
            return False
        return True

    places = [(address, port) for address in (GUEST, one_cluster().node_ip) for port in ASKED]
    with ThreadPoolExecutor(len(places)) as pool:
        return [
            f"{host}:{port}" for (host, port), yes in zip(places, pool.map(asked, places), strict=True) if yes
        ]


def _listening(guest: int) -> list[str]:
    """Addresses with a port that listens in the guest, of TCP."""
    found = set()
    for line in Path(f"/proc/{guest}/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        if state == _LISTENS:
            address, port = local.split(":")
            found.add(f"{ipaddress.ip_address(bytes.fromhex(address)[::-1])}:{int(port, 16)}")
    six = Path(f"/proc/{guest}/net/tcp6")
    if six.exists():
        lines = [line.split() for line in six.read_text().splitlines()[1:]]
        found |= {
            f"[{line[1].split(':')[0]}]:{int(line[1].split(':')[1], 16)}"
            for line in lines
            if line[3] == _LISTENS
        }
    return sorted(found)


def _nodes(guest: int) -> str:
    config = one_cluster().path("pki", "admin.conf")
    words = [str(binaries.kube()), "kubectl", f"--kubeconfig={config}", "get", "nodes", "--no-headers"]
    return run(["nsenter", f"--net=/proc/{guest}/ns/net", *words]).strip()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
