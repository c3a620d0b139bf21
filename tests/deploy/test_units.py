# SPDX-License-Identifier: Apache-2.0
"""The units of a provider: systemd understands them, and none has more rights than it needs."""

import re
import shlex
import shutil
import subprocess

import pytest
import yaml

from tests.paths import ROOT
from trustedpods.localnet.cluster import addons
from trustedpods.provider import termination_logs

UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.*"))
NETPOL = ROOT / "deploy" / "systemd" / "trustedpods-netpol.service"
TUNNEL = ROOT / "deploy" / "systemd" / "trustedpods-tunnel.service"
AGENT = ROOT / "deploy" / "kube" / "netpol" / "agent" / "main.go"
ROLE = ROOT / "deploy" / "kube" / "netpol" / "role.yaml"

CAPABILITIES = {
    "haproxy": "CAP_NET_BIND_SERVICE",
    "netpol": "CAP_NET_ADMIN",
    "termination-logs": "CAP_DAC_READ_SEARCH",
    "tunnel": "CAP_NET_ADMIN CAP_SYS_ADMIN",
}
"""What each service keeps of root's powers; the others keep nothing."""

HARDENING = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectControlGroups": "yes",
    "ProtectProc": "invisible",
    "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes",
    "LockPersonality": "yes",
    "SystemCallFilter": "@system-service",
    "User": "trustedpods",
    "UMask": "0077",
    "LimitCORE": "0",
}

OTHERWISE = {
    "tunnel": {"PrivateDevices": None, "RestrictNamespaces": ["net"]},
}
"""What a service cannot have as the others: tunnels are made of a device, in namespaces of pods' networks."""


def settings(path):
    """The unit's keys, each with all of its values."""
    found = {}
    for line in path.read_text().splitlines():
        key, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def name_of(path):
    return path.stem.removeprefix("trustedpods-")


SERVICES = [path for path in UNITS if path.suffix == ".service" and name_of(path) != "watch"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd on this machine")
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_understands_every_line(path):
    verify = ["systemd-analyze", "verify", "--man=no", path]
    done = subprocess.run(verify, capture_output=True, text=True, timeout=60, check=False)
    about_it = [line for line in (done.stdout + done.stderr).splitlines() if path.name in line]
    assert (about_it, done.returncode) == ([], 0)


@pytest.mark.parametrize("path", SERVICES, ids=name_of)
def test_a_service_has_no_more_than_it_needs(path):
    has = settings(path)
    wanted = {key: [value] for key, value in HARDENING.items()} | OTHERWISE.get(name_of(path), {})
    assert {key: has.get(key) for key in HARDENING} == wanted
    keeps = CAPABILITIES.get(name_of(path))
    assert has["CapabilityBoundingSet"] == [keeps or ""]
    assert has.get("AmbientCapabilities") == ([keeps] if keeps else None)


@pytest.mark.parametrize("path", SERVICES, ids=name_of)
def test_a_service_waits_for_its_settings_and_finds_its_program(path):
    """So a package may bring it before a set-up; a program may be the package's, or put there by hand."""
    has = settings(path)
    assert len(has["ConditionPathExists"]) == 1
    if any(line.startswith("/usr/bin/env ") for line in has["ExecStart"] + has.get("ExecStartPre", [])):
        places = "PATH=/usr/lib/trusted-pods/bin:/opt/trustedpods/bin:/usr/sbin:/usr/bin"
        assert has["Environment"] == [places]


def test_there_are_the_services_of_the_operators_page():
    four = {"provider", "haproxy", "activator", "registry"}
    assert {name_of(path) for path in SERVICES} == four | {"netpol", "termination-logs", "tunnel"}


def test_termination_logs_are_cut_where_kubelets_have_their_folder():
    has = settings(ROOT / "deploy" / "systemd" / "trustedpods-termination-logs.service")
    (line,) = has["ExecStart"]
    *_, module, folder = line.split()
    assert module == termination_logs.__name__
    assert has["ReadWritePaths"] == [folder] == ["/var/lib/kubelet"]


def test_the_agent_is_given_every_flag_that_it_has():
    (line,) = settings(NETPOL)["ExecStart"]
    env, command, *flags = shlex.split(line)
    assert (env, command) == ("/usr/bin/env", "trustedpods-netpol")
    given = dict(flag.removeprefix("-").split("=", 1) for flag in flags)
    assert given.keys() == set(re.findall(r'flag\.String\("([a-z-]+)"', AGENT.read_text()))
    variables = set(re.findall(r"\$\{(\w+)\}", line))
    assert variables == set(re.findall(r"^#   (\w+)=", NETPOL.read_text(), re.MULTILINE))


def test_the_agents_files_lie_in_folders_that_systemd_makes():
    has = settings(NETPOL)
    (line,) = has["ExecStart"]
    assert "/run/trustedpods/netpol/" in line
    assert has["RuntimeDirectory"] == ["trustedpods trustedpods/netpol"]
    assert "-state=/var/lib/trustedpods/netpol/" in line
    assert has["StateDirectory"] == ["trustedpods/netpol"]


def test_the_operators_page_names_the_agents_sockets_and_settings():
    page, line = (ROOT / "docs" / "operator.md").read_text(), NETPOL.read_text()
    for socket in re.findall(r"-socket=(\S+)", line):
        assert socket in page
    for word in (
        "NETPOL_NODE",
        "NETPOL_PODS",
        "/etc/trustedpods/netpol.env",
        "/etc/trustedpods/netpol.kubeconfig",
    ):
        assert word in page
        assert word in line


def test_tunnels_are_told_at_the_socket_of_the_operators_page_of_the_agents_pods():
    has, (agent,) = settings(TUNNEL), settings(NETPOL)["ExecStart"]
    (line,) = has["ExecStart"]
    env, command, *flags = shlex.split(line)
    assert (env, command) == ("/usr/bin/env", "trustedpods-tunnel")
    given = dict(flag.removeprefix("-").split("=", 1) for flag in flags)
    assert given.keys() == {"socket", "pods"}
    assert f'tunnel_sockets = ["{given["socket"]}"]' in (ROOT / "docs" / "operator.md").read_text()
    assert f"-state={given['pods']}" in agent
    assert has["RuntimeDirectory"] == settings(NETPOL)["RuntimeDirectory"]
    assert (has["DevicePolicy"], has["DeviceAllow"]) == (["closed"], ["/dev/net/tun rw"])


def test_the_role_is_that_of_the_embedded_clusters_agent():
    role, binding = yaml.safe_load_all(ROLE.read_text())
    ours, _ = addons._policy_agent()
    assert role["rules"] == ours["rules"]
    assert binding["roleRef"]["name"] == binding["subjects"][0]["name"] == role["metadata"]["name"]
