# SPDX-License-Identifier: Apache-2.0
"""Dashboards and alert rules ask only for what exists, in a language that Prometheus reads."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.paths import ROOT
from tests.provider.test_metrics import SNAPSHOT
from trustedpods.provider.metrics import Metrics, SnapshotCollector

FOLDER = ROOT / "deploy" / "grafana"
DASHBOARDS = sorted(FOLDER.glob("*.json"))
NAME = re.compile(r"\b(?:trustedpods|haproxy)_[a-z0-9_]+")


def alert_expressions() -> Iterator[str]:
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["expr"]


def panel_expressions(path: Path) -> Iterator[str]:
    for panel in json.loads(path.read_text())["panels"]:
        for target in panel["targets"]:
            yield target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")


def daemon_names() -> set[str]:
    """Every sample name that the daemon's exporter can say."""
    metrics = Metrics()
    metrics.woken(1.0, cold=True, served=True)
    metrics.answered("chain")
    metrics.item_paid(1, whole=True)
    metrics.registry.register(SnapshotCollector(lambda: SNAPSHOT))
    names = set()
    for family in metrics.registry.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(
            family.type, ("",)
        )
        names |= {family.name + suffix for suffix in suffixes}
    return names


def promtool(*words: str | Path) -> str:
    """What it said; a failed check fails the test with its words."""
    done = subprocess.run(["promtool", *words], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_dashboards_are_whole(path: Path) -> None:
    board = json.loads(path.read_text())
    identities = [panel["id"] for panel in board["panels"]]
    assert len(set(identities)) == len(identities)
    for panel in board["panels"]:
        assert panel["title"], panel["id"]
        assert panel["description"], panel["id"]
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24


def test_what_is_asked_of_the_daemon_exists() -> None:
    known = daemon_names()
    asked = {
        name
        for expression in (*alert_expressions(), *(e for path in DASHBOARDS for e in panel_expressions(path)))
        for name in NAME.findall(expression)
        if name.startswith("trustedpods_")
    }
    assert asked - known == set()
    assert len(asked) > 15


def test_every_alert_says_what_to_do() -> None:
    rules: list[dict[str, Any]] = [
        rule
        for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
        for rule in group["rules"]
    ]
    for rule in rules:
        assert rule["annotations"]["summary"], rule["alert"]
        assert len(rule["annotations"]["description"]) > 40, rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning")


def test_every_alert_has_a_line_of_the_runbook_and_the_runbook_no_other() -> None:
    rules = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    page = (ROOT / "docs" / "operator.md").read_text().partition("### When an alert fires")[2]
    lines = re.findall(r"^\| `(TrustedPods\w+)` \| (.+) \|$", page.partition("\n## ")[0], re.MULTILINE)
    assert [name for name, _ in lines] == [rule["alert"] for group in rules for rule in group["rules"]]
    assert all(len(line) > 40 for _, line in lines)


@pytest.mark.live
def test_prometheus_reads_every_rule_and_panel(tmp_path: Path) -> None:
    """promtool knows no panels, so each of their expressions becomes a recording rule."""
    rules = [
        {"record": f"panel:{place}", "expr": expression}
        for place, expression in enumerate(e for path in DASHBOARDS for e in panel_expressions(path))
    ]
    panels = tmp_path / "panels.yaml"
    panels.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    for path, count in ((panels, len(rules)), (FOLDER / "alerts.yaml", len(list(alert_expressions())))):
        assert f"{count} rules found" in promtool("check", "rules", path)


@pytest.mark.live
def test_alerts_fire_when_they_should_and_only_then() -> None:
    assert "SUCCESS" in promtool("test", "rules", Path(__file__).with_name("alerts.test.yaml"))
