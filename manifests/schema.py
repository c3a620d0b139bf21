# SPDX-License-Identifier: Apache-2.0
"""The JSON schema of manifests, for editors: `python -m trustedpods.manifests.schema [Pod|Network]`."""

import json
import sys
from typing import Any

from trustedpods.manifests.network.model import NetworkManifest
from trustedpods.manifests.spec.pod import PodManifest

VERSION = "v1"
"""Of manifests, as `apiVersion` has it: a name and no address, as the schema comes with the client."""

MODELS = {"Pod": PodManifest, "Network": NetworkManifest}


def schema(kind: str = "Pod") -> dict[str, Any]:
    """JSON Schema (2020-12) of a manifest of that *kind* as people write it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:trustedpods:{VERSION}:{kind}",
        **MODELS[kind].model_json_schema(by_alias=True, mode="validation"),
    }


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["Pod"]
    if len(wanted) > 1 or wanted[0] not in MODELS:
        sys.exit(f"one of: {', '.join(MODELS)}")
    json.dump(schema(wanted[0]), sys.stdout, indent=1)
    sys.stdout.write("\n")
