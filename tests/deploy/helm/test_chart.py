# SPDX-License-Identifier: Apache-2.0
"""The chart's files by themselves: what the daemon may do, which settings there are, what is started."""

import json
import re
import subprocess

import pytest
import yaml

from tests.deploy.helm.building import HELM, chart
from tests.deploy.test_units import settings
from tests.paths import ROOT
from trustedpods.localnet.cluster import addons
from trustedpods.provider.setup import daemon_account
from trustedpods.provider.setup.answers import SetupAnswers
from trustedpods.provider.setup.configuration import DATA, RUNTIME

CHART = HELM / "chart"
VALUES = (CHART / "values.yaml").read_text()
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
TEMPLATES = {path.name: path.read_text() for path in (CHART / "templates").iterdir()}


def test_the_daemon_may_do_what_a_localnets_daemon_may_and_nothing_else():
    rules = yaml.safe_load((CHART / "files/rules.yaml").read_text())
    role = next(one for one in addons._provider() if one["kind"] == "ClusterRole")
    assert [by_name(rule) for rule in rules] == [by_name(rule) for rule in role["rules"]]
    by_setup = daemon_account.rules()
    assert [by_name(rule) for rule in by_setup] == [by_name(rule) for rule in role["rules"]]


def by_name(rule):
    return {key: sorted(words) for key, words in rule.items()}


def test_every_value_has_a_comment_and_stands_in_the_schema():
    assert keys_of(yaml.safe_load(VALUES)) == keys_of_schema(SCHEMA)
    tops = re.findall(r"^(\w+):", VALUES, re.MULTILINE)
    assert set(tops) | {"global"} == set(SCHEMA["properties"])
    commented = set(re.findall(r"^#[^\n]*\n(\w+):", VALUES, re.MULTILINE))
    assert set(tops) == commented


def keys_of(tree, above=""):
    """All keys but those of what Kubernetes takes as it is."""
    found = set()
    for key, value in tree.items():
        deeper = isinstance(value, dict) and above != "resources."
        found |= {f"{above}{key}"} | (keys_of(value, f"{above}{key}.") if deeper else set())
    return found


def keys_of_schema(schema, above=""):
    found = set()
    for key, value in schema.get("properties", {}).items():
        if key != "global":
            found |= {f"{above}{key}"} | keys_of_schema(value, f"{above}{key}.")
    return found


def test_no_part_of_the_schema_takes_what_it_does_not_know():
    def check(schema):
        if "properties" in schema:
            assert schema["additionalProperties"] is False
            for name, part in schema["properties"].items():
                if name != "global":
                    check(part)

    check(SCHEMA)
    for part in SCHEMA["definitions"].values():
        check(part)


def test_every_answer_of_the_chart_is_one_that_setup_takes():
    written = re.findall(r"^ {4}(\w+) = ", TEMPLATES["answers.yaml"], re.MULTILINE)
    assert set(written) <= set(SetupAnswers.model_fields)
    assert len(written) == len(set(written))
    told = set(SetupAnswers.model_fields) - {"daemon", "data"}
    assert set(written) == told  # the first daemon of its owner, in the folder that is mounted


@pytest.mark.parametrize("unit", ["provider", "activator", "haproxy", "registry", "termination-logs"])
def test_each_container_starts_what_the_unit_of_its_name_starts(unit):
    (line,) = settings(ROOT / f"deploy/systemd/trustedpods-{unit}.service")["ExecStart"]
    program = line.removeprefix("/usr/bin/env ").split()[0].rpartition("/")[2]
    template = TEMPLATES["termination-logs.yaml" if unit == "termination-logs" else "provider.yaml"]
    (command,) = re.findall(rf"- name: {unit}\n(?:.*\n)*?\s+command: \[(.*)\]", template)
    assert program in re.split(r"[\s,\"]+", command)


def test_the_folders_are_those_that_setup_writes():
    assert f"mountPath: {DATA}," in TEMPLATES["provider.yaml"]
    assert f"mountPath: {RUNTIME}}}" in TEMPLATES["provider.yaml"]
    assert yaml.safe_load(VALUES)["runFolder"] == RUNTIME


def test_the_example_has_only_values_that_there_are():
    example = yaml.safe_load(chart.EXAMPLE.read_text())
    known = keys_of(yaml.safe_load(VALUES))
    assert {key for key in keys_of(example) if not key.startswith("nodeSelector.")} <= known


def test_what_runs_before_the_containers_is_a_script_that_ends_at_the_first_failure():
    script = CHART / "files/prepare"
    assert re.search(r"^set -eu$", script.read_text(), re.MULTILINE)
    subprocess.run(["sh", "-n", str(script)], check=True)


def test_no_container_has_more_of_root_than_it_needs():
    added = re.findall(r"add: \[(.*)\]", "".join(TEMPLATES.values()))
    assert sorted(added) == ["DAC_READ_SEARCH", "NET_BIND_SERVICE"]
    assert "privileged" not in "".join(TEMPLATES.values())
