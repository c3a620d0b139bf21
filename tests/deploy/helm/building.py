# SPDX-License-Identifier: Apache-2.0
"""The builder of the chart as its command imports it."""

import sys

from tests.paths import ROOT

HELM = ROOT / "deploy" / "helm"
sys.path[:0] = [str(HELM), *(str(ROOT / "deploy" / name) for name in ("debian", "setup", "images"))]

import chart  # noqa: E402
import container_image  # noqa: E402
from oci import Entry  # noqa: E402

__all__ = ["HELM", "Entry", "chart", "container_image"]
