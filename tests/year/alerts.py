# SPDX-License-Identifier: Apache-2.0
"""The daemon's own metrics, scraped by the simulated clock, and promtool's verdict on the rules of alerts."""

import json
import re
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import yaml

from tests.paths import ROOT

RULES = ROOT / "deploy" / "grafana" / "alerts.yaml"
NAME = re.compile(r"\btrustedpods_[a-z0-9_]+")
TIMES = ("trustedpods_last_read_seconds", "trustedpods_oldest_claim_seconds")
"""Moments. promtool's clock begins at 0, so they are told from the window's begin."""

UP = 'up{job="trustedpods",instance="simulated"}'
ONE = {"labels": "{}", "value": 1}
WITHIN_S = 300


@cache
def rules():
    """Each alert's rule by its name. Read once: reading them takes longer than the hour between two looks."""
    return {
        rule["alert"]: rule
        for group in yaml.safe_load(RULES.read_text())["groups"]
        for rule in group["rules"]
    }


@cache
def asked_for():
    """Names of metrics in the rules."""
    return {name for rule in rules().values() for name in NAME.findall(rule["expr"])}


def scraped(metrics):
    """What the rules ask for, as the daemon says it, by series."""
    wanted, found = asked_for(), {}
    for family in metrics.registry.collect():
        for sample in family.samples:
            if sample.name in wanted:
                labels = {**sample.labels, "instance": "simulated", "job": "trustedpods"}
                text = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
                found[f"{sample.name}{{{text}}}"] = sample.value
    return found


@dataclass
class Window:
    """Scrapes of some hours, one every *every_s*. `fires` are the alerts that its events are for.

    At its end none is firing any more; those of *fires* are where it is not *cleared*.
    """

    name: str
    every_s: int
    fires: set
    began: float
    cleared: bool = True
    scrapes: list = field(default_factory=list)

    def scrape(self, metrics):
        """One; None is a daemon that is down."""
        found = {UP: 0} if metrics is None else {UP: 1, **scraped(metrics)}
        self.scrapes.append(found)

    def save(self, folder: Path):
        """What `judge` takes: a file, so that a year's windows do not count as the daemon's memory."""
        path = folder / f"{self.name}.test.yaml"
        made = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [self._as_test()]}
        path.write_text(json.dumps(made))  # which is YAML too, and is written in a hundredth of the time
        return path

    def _as_test(self):
        """For `promtool test rules`: who was firing in the window, and who at its end."""
        names = sorted({name for one in self.scrapes for name in one})
        span, end = f"{len(self.scrapes) * self.every_s}s", (len(self.scrapes) - 1) * self.every_s
        checks = []
        for alert in rules():
            firing = f'ALERTS{{alertname="{alert}",alertstate="firing"}}'
            ever = f"clamp_max(count(count_over_time({firing}[{span}])), 1)"
            last = f"clamp_max(count({firing}), 1)"
            if alert in self.fires:
                checks.append((ever, [ONE]))
            checks.append((last, [ONE] if alert in self.fires and not self.cleared else []))
        return {
            "name": self.name,
            "interval": f"{self.every_s}s",
            "input_series": [{"series": name, "values": self._values(name)} for name in names],
            "promql_expr_test": [
                {"expr": expression, "eval_time": f"{end}s", "exp_samples": samples}
                for expression, samples in checks
            ],
        }

    def _values(self, name):
        moment = name.startswith(TIMES)
        told = []
        for scrape in self.scrapes:
            value = scrape.get(name)
            told.append("_" if value is None else repr(value - self.began if moment else value))
        return " ".join(told)


def judge(paths):
    """promtool's words where an alert did not do as it should; empty where all did."""
    done = subprocess.run(
        ["promtool", "test", "rules", *paths], check=False, capture_output=True, text=True, timeout=WITHIN_S
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr
