# SPDX-License-Identifier: Apache-2.0
"""The JSON schema of manifests, for editors: `python -m trustedpods.manifests.schema`."""

import json
import sys
from typing import Any

from trustedpods.manifests.spec.pod import PodManifest


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a Pod manifest as people write it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **PodManifest.model_json_schema(by_alias=True, mode="validation"),
    }


if __name__ == "__main__":
    json.dump(schema(), sys.stdout, indent=1)
    sys.stdout.write("\n")
