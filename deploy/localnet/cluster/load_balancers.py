# SPDX-License-Identifier: Apache-2.0
"""Gives Services of type LoadBalancer their addresses: `python -m ...load_balancers SERVER PKI_FOLDER POOL`.

In the place of a cloud's controller. The host routes the pool to the node, where kube-proxy takes what comes
for an address that a Service's status names. A Service that asks for an address of the pool
(`spec.loadBalancerIP`) gets that one if nobody has it, and any other if somebody does.
"""

import http.client
import json
import ssl
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

NAME = "balancers"
"""Of its certificate's files among the cluster's."""

LOOK_EVERY_S = 0.5
"""A small list from memory: less than a millisecond of the API server's time."""

_ASKED_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Balancer:
    """One Service of the type: where it is, the address that it asks for, and the one that it has."""

    path: str
    wanted: str | None
    given: str | None


def parse(items: Iterable[Mapping[str, Any]]) -> list[Balancer]:
    """Those among the API server's Services."""
    found = []
    for item in items:
        metadata, spec = item["metadata"], item["spec"]
        if spec.get("type") == "LoadBalancer" and "deletionTimestamp" not in metadata:
            path = f"/api/v1/namespaces/{metadata['namespace']}/services/{metadata['name']}"
            given = (item.get("status", {}).get("loadBalancer") or {}).get("ingress") or [{}]
            found.append(Balancer(path, spec.get("loadBalancerIP"), given[0].get("ip")))
    return found


def allocations(balancers: Iterable[Balancer], pool: IPv4Network) -> dict[str, str]:
    """An address for each that has none, by its path, while there are any."""
    balancers = list(balancers)
    free = [str(address) for address in pool]
    for taken in {one.given for one in balancers} & set(free):
        free.remove(str(taken))
    found: dict[str, str] = {}
    waiting = sorted((one for one in balancers if one.given is None), key=lambda one: one.wanted is None)
    for one in waiting:
        if free:
            address = one.wanted if one.wanted in free else free[0]
            free.remove(address)
            found[one.path] = address
    return found


def look(server: http.client.HTTPSConnection, pool: IPv4Network) -> Iterator[tuple[str, str]]:
    """One look; what was given. OSError or HTTPException when the API server does not answer."""
    items = _ask(server, "GET", "/api/v1/services").get("items", [])
    for path, address in allocations(parse(items), pool).items():
        _ask(server, "PATCH", f"{path}/status", {"status": {"loadBalancer": {"ingress": [{"ip": address}]}}})
        yield path, address


def _ask(server: http.client.HTTPSConnection, method: str, path: str, body: object = None) -> dict[str, Any]:
    headers = {} if body is None else {"Content-Type": "application/merge-patch+json"}
    server.request(method, path, None if body is None else json.dumps(body), headers)
    answer = server.getresponse()
    text = answer.read()
    if answer.status != http.HTTPStatus.OK:
        raise OSError(f"{method} {path}: {answer.status} {text[:200]!r}")
    found: dict[str, Any] = json.loads(text)
    return found


def main(address: str, pki: str, network: str) -> None:
    """Look for ever; what does not answer now is asked again later."""
    trust = ssl.create_default_context(cafile=str(Path(pki, "ca.crt")))
    trust.load_cert_chain(Path(pki, f"{NAME}.crt"), Path(pki, f"{NAME}.key"))
    server = http.client.HTTPSConnection(address, timeout=_ASKED_WITHIN_S, context=trust)
    while True:
        try:
            for path, given in look(server, IPv4Network(network)):
                print(f"{given} for {path}", flush=True)  # noqa: T201 - its log
        except (OSError, http.client.HTTPException) as error:
            print(f"not now: {error}", flush=True)  # noqa: T201
            server.close()
        time.sleep(LOOK_EVERY_S)


if __name__ == "__main__":
    main(*sys.argv[1:])
