# SPDX-License-Identifier: Apache-2.0
"""A machine that has a key, a market and nothing else: what a person can do from there with his pods."""

import subprocess
from pathlib import Path

import pytest

from tests.live.clients.publisher import COMMANDS, Json, Publisher
from tests.live.clients.web import get
from tests.live.commands.test_exec import awake
from tests.live.conftest import unique

pytestmark = pytest.mark.live


def on(home: Path, publisher: Publisher, *words: str) -> bytes:
    """What a command there prints; it must end with 0."""
    argv, environment = [str(COMMANDS / "trustedpods"), *words], publisher.environment(home)
    done = subprocess.run(argv, env=environment, capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def test_everything_from_another_machine_with_the_key_alone(publisher: Publisher, tmp_path: Path) -> None:
    pod = publisher.deploy(publisher.manifest("hello", unique("moved"), awake))
    home = tmp_path / "empty"
    home.mkdir()
    listed = publisher.run("list", home=home).json["pods"]
    assert [one["name"] for one in listed if one["channel"] == pod.channel] == [pod.name]
    assert publisher.run("status", pod.name, home=home).json["phase"] == "serving"
    on(home, publisher, "logs", pod.name)
    assert on(home, publisher, "exec", pod.name, "--", "echo", "here") == b"here\n"

    def larger(spec: Json) -> None:
        awake(spec)
        spec["containers"][0]["resources"]["limits"]["memory"] = "96Mi"

    publisher.manifest("hello", pod.name, larger)
    updated = publisher.run("deploy", pod.file.name, "--yes", home=home).json
    assert updated["channel"] == pod.channel
    assert get(pod.url).status == 200
    [closed] = publisher.run("close", pod.name, home=home).json["channels"]
    assert closed["state"] == "unlocking"
    publisher.gone(pod.name)
