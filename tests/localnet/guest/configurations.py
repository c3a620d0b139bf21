# SPDX-License-Identifier: Apache-2.0
"""What an operator writes for his machine, and what comes of it."""

import json
from pathlib import Path
from typing import Any

from trustedpods.localnet.guest import plan
from trustedpods.localnet.guest.configuration import GuestConfiguration
from trustedpods.localnet.market import pricing
from trustedpods.localnet.settings import Cluster

OWNER = "0x52908400098527886E0F7030069857D2E4169EE7"
OPERATOR_KEY = "0x" + "5e" * 32
STATE = Path("/var/lib/trustedpods")


def written() -> dict[str, Any]:
    """A whole configuration, as JSON has it."""
    return {
        "version": 1,
        "network": {"address": "10.0.2.15/24", "gateway": "10.0.2.2", "nameserver": "10.0.2.3"},
        "operator": {
            "owner": OWNER,
            "daemon": 1,
            "operator_key": OPERATOR_KEY,
            "domain": "guest.example",
            "announce": ["/ip4/192.0.2.1/tcp/4001"],
        },
        "market": {
            "rpc": "http://10.0.2.2:8545",
            "chain_id": 31337,
            "payments": OWNER,
            "registry": OWNER,
            "token": OWNER,
        },
        "prices": pricing.prices(18, 100).model_dump(mode="json"),
        "terms": {"unlock_s": 60},
    }


def read() -> GuestConfiguration:
    """The same, as the supervisor reads it."""
    return GuestConfiguration.model_validate_json(json.dumps(written()))


def one_cluster() -> Cluster:
    """The guest's."""
    (one,) = plan.settings(STATE).all_clusters()
    return one
