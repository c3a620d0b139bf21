# SPDX-License-Identifier: Apache-2.0
"""`status`: what runs, where it listens, and what its parts last said."""

import time
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from trustedpods.localnet import folders
from trustedpods.localnet.processes import processes, supervisor
from trustedpods.localnet.processes.units import UnitStatus
from trustedpods.localnet.settings import Settings


def report(settings: Settings) -> dict[str, Any]:
    """Everything that `status -o json` prints."""
    pid = folders.holder(folders.supervisor_lock(settings.state))
    return {
        "name": settings.name,
        "supervisor": pid,
        "state": str(settings.state),
        "chain": {"rpc": settings.rpc, "chainId": settings.chain_id},
        "clusters": [_cluster(settings, index) for index in range(len(settings.clusters))],
        "parts": [_part(settings, status) for status in supervisor.read_status(settings.state)],
    }


def _cluster(settings: Settings, index: int) -> dict[str, Any]:
    cluster = settings.all_clusters()[index]
    kubeconfig = settings.kubeconfig or (None if settings.guest else cluster.path("pki", "admin.conf"))
    return {
        "name": cluster.name,
        "node": cluster.node_ip,
        "nodes": [
            {
                "name": node.name,
                "address": node.node_ip,
                "pods": node.pod_network,
                "networkNamespace": node.namespace,
            }
            for node in cluster.nodes
        ],
        "apiServer": cluster.api_server if cluster.embedded else None,
        "kubeconfig": str(kubeconfig) if kubeconfig else None,
        "urls": f"http://<pod>.{cluster.domain}{cluster.url_suffix}/",
        "peer": f"/ip4/{cluster.node_ip}/tcp/{cluster.ports.peer}",
        "registry": cluster.registry,
        "networkNamespace": cluster.namespace,
    }


def _part(settings: Settings, status: UnitStatus) -> dict[str, Any]:
    alive = status.kind == "step" or processes.find(status.pid, status.started) is not None
    log = folders.log_file(settings.state, status.name)
    return {
        "name": status.name,
        "kind": status.kind,
        "state": status.state if alive or status.state == "waiting" else "ended",
        "pid": status.pid if alive else None,
        "seconds": round(time.time() - status.since),
        "restarts": status.restarts,
        "note": status.note,
        "lastLine": processes.last_line(log),
    }


def print_tables(facts: dict[str, Any]) -> None:
    """The same for a person."""
    console = Console(width=max(100, Console().width))
    parts = Table(box=None, pad_edge=False, expand=True)
    for title in ("PART", "STATE", "PID", "SINCE", "RESTARTS", "LAST WORDS"):
        parts.add_column(title, no_wrap=True, overflow="ellipsis", ratio=1 if title == "LAST WORDS" else None)
    for part in facts["parts"]:
        words = part["note"] or part["lastLine"]
        cells = [part["name"], part["state"], part["pid"] or "", f"{part['seconds']} s", part["restarts"]]
        parts.add_row(*map(str, cells), Text(words))
    console.print(parts)
    console.print()
    running = f"pid {facts['supervisor']}" if facts["supervisor"] else "NOT RUNNING: `up` starts it again"
    lines = [("supervisor", running), ("state", facts["state"])]
    lines += [("chain", f"{facts['chain']['rpc']} (id {facts['chain']['chainId']})")]
    for cluster in facts["clusters"]:
        lines += [(f"{cluster['name']} {key}", str(cluster[key])) for key in ("urls", "peer", "kubeconfig")]
        if len(cluster["nodes"]) > 1:
            told = ", ".join(f"{node['name']} {node['address']}" for node in cluster["nodes"])
            lines.append((f"{cluster['name']} nodes", told))
    for title, text in lines:
        console.print(f"{title:14} {text}", highlight=False, markup=False, soft_wrap=True)
