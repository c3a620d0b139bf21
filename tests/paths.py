# SPDX-License-Identifier: Apache-2.0
"""Where the repository lies, for tests that read its files."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
VECTORS = ROOT / "tests" / "vectors"
EXAMPLES = ROOT / "manifests" / "examples"
IMAGES = ROOT / "deploy" / "images"
