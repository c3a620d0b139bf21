# SPDX-License-Identifier: Apache-2.0
"""`trustedpods deploy` of a bad manifest: one message with file and line, at once, and nobody is asked.

The real command in a process of its own; the market's node is a port that counts connections.
"""

import os
import re
import resource
import secrets
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.examples import some
from tests.fakes.images.oci_images import ImageFiles

COMMAND = Path(sys.executable).with_name("trustedpods")
LIMIT_CPU_S = 1.0
"""Processor time, which is what the command itself can answer for on a busy machine."""

GOOD = """\
apiVersion: trustedpods/v1
kind: Pod
metadata: {name: web}
spec:
  containers:
    - name: nginx
      image: oci-archive:web.tar
      ports: [{containerPort: 8080}]
      resources: {limits: {cpu: 100m, memory: 64Mi}}
      volumeMounts:
        - {name: login, mountPath: /secrets}
  volumes:
    - name: login
      secret:
        files: {password: password.txt}
  services:
    - {name: web, expose: http, ports: [{port: 80, targetPort: 8080}]}
"""
BOMB = "\n".join(
    ["metadata:", "  a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"  a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
)
COMMENT = "# and so on\n"
HUGE_BYTES = 100 * 1024 * 1024
"""It is made in the test that needs it, not in every process that reads this file."""
LIMIT_BYTES = 128 * 1024


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


CASES = {
    "unknown field": (
        changed("image: oci", "colour: red\n      image: oci"),
        7,
        ["spec.containers[0].colour", "unknown field"],
    ),
    "wrong unit": (
        changed("memory: 64Mi", "memory: 64MiB"),
        9,
        ["spec.containers[0].resources.limits.memory", "64MiB"],
    ),
    "missing volume": (
        changed("name: login, mountPath", "name: logins, mountPath"),
        11,
        ["spec.containers[0].volumeMounts[0].name", "logins"],
    ),
    "absent secret file": (
        GOOD,
        15,
        ["spec.volumes[0].secret.files.password", "no such file", "password.txt"],
    ),
    "bomb": (BOMB, 2, ["unfolded"]),
    "huge": (GOOD, (GOOD + COMMENT * LIMIT_BYTES).count("\n", 0, LIMIT_BYTES) + 1, ["larger than 128 KiB"]),
}


@dataclass(frozen=True)
class Laptop:
    """A folder with a market and a key, and the port that stands for the market's node."""

    folder: Path
    node: socket.socket

    def deploy(self, text: str) -> "subprocess.Popen[str]":
        """The command, on a manifest of that text."""
        (self.folder / "pod.yaml").write_text(text)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "TRUSTEDPODS_MARKET": str(self.folder / "market.toml"),
            "TRUSTEDPODS_KEY": str(self.folder / "key"),
        }
        argv = [str(COMMAND), "deploy", "pod.yaml"]
        pipe = subprocess.PIPE
        return subprocess.Popen(argv, env=environment, cwd=self.folder, stdout=pipe, stderr=pipe, text=True)

    def was_asked(self, within_s: float = 0) -> bool:
        """Whether anybody connected to the node."""
        return bool(select.select([self.node], [], [], within_s)[0])


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Laptop]:
    with socket.create_server(("127.0.0.1", 0)) as node:
        address = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
        (tmp_path / "market.toml").write_text(
            f'rpc = "http://127.0.0.1:{node.getsockname()[1]}"\nchain_id = 31337\n'
            f'payments = "{address}"\nregistry = "{address}"\ntoken = "{address}"\nfinality_blocks = 0\n'
        )
        key = tmp_path / "key"
        key.write_text(secrets.token_hex(32))
        key.chmod(0o600)
        yield Laptop(tmp_path, node)


def children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("case", some(list(CASES)))
def test_a_bad_manifest_is_refused_at_once_and_nobody_is_asked(account: Laptop, case: str) -> None:
    text, line, words = CASES[case]
    if case == "huge":
        text += COMMENT * (HUGE_BYTES // len(COMMENT))
    before = children_cpu_s()
    process = account.deploy(text)
    out, err = process.communicate(timeout=60)
    spent = children_cpu_s() - before
    assert process.returncode == 2, err
    (message,) = err.splitlines()
    assert re.match(rf"error: pod\.yaml:{line}[: ]", message), message
    assert all(word in message for word in words), message
    assert out == ""
    assert not account.was_asked()
    assert spent < LIMIT_CPU_S


def test_the_port_sees_who_asks(account: Laptop) -> None:
    """The control: the same manifest with everything that it names."""
    (account.folder / "password.txt").write_text("s3cret")
    ImageFiles().write_archive(account.folder / "web.tar")
    process = account.deploy(GOOD)
    try:
        assert account.was_asked(within_s=60)
    finally:
        process.kill()
        process.communicate()
