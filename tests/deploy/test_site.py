# SPDX-License-Identifier: Apache-2.0
"""The pages as a site: each has its place, every link leads somewhere, and a reader fetches nothing else."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

CONFIG = ROOT / "mkdocs.yml"
PAGES = list((ROOT / "docs").rglob("*.md"))
OTHERS = re.compile(r'<(?:script|img|iframe)[^>]* src="https?:|<link[^>]* href="https?:')
"""What a browser fetches by itself, from elsewhere."""


def build(config: Path, site: Path) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(config)]
    return subprocess.run(
        [*argv, "--site-dir", str(site)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=100
    )


def test_the_site_is_built_without_a_warning_and_fetches_nothing(tmp_path: Path) -> None:
    done = build(CONFIG, tmp_path / "site")
    assert done.returncode == 0, done.stderr
    for page in PAGES:
        built = tmp_path / "site" / page.relative_to(ROOT / "docs").with_suffix(".html")
        text = (built if built.stem != "README" else built.with_name("index.html")).read_text()
        assert OTHERS.findall(text) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[gone](gone.md)", "gone.md"),
        ("[there](page.md#nowhere)", "#nowhere"),
        ("sound, but in no menu", "not included in the"),
    ],
)
def test_what_leads_nowhere_ends_the_build(tmp_path: Path, text: str, why: str) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "page.md").write_text(f"# A page\n\n{text}\n")
    (docs / "index.md").write_text("# The first\n")
    head, _, _ = CONFIG.read_text().partition("nav:\n  - Ten")
    menu = "index.md" if "no menu" in text else "page.md\n  - index.md"
    config = tmp_path / "mkdocs.yml"
    config.write_text(f"{head}nav:\n  - {menu}\n")
    done = build(config, tmp_path / "site")
    assert done.returncode != 0
    assert why in done.stderr
