# SPDX-License-Identifier: Apache-2.0
"""A machine that has a key, a market and nothing else: what a person can do from there with his pods."""

from pathlib import Path

import pytest

from tests.live.clients import web
from tests.live.clients.publisher import Json, Publisher, finish
from tests.live.commands.test_exec import awake
from tests.live.conftest import unique

pytestmark = [pytest.mark.live, pytest.mark.soak]


def larger(spec: Json) -> None:
    awake(spec)
    spec["containers"][0]["resources"]["limits"]["memory"] = "96Mi"


def test_everything_from_another_machine_with_the_key_alone(publisher: Publisher, tmp_path: Path) -> None:
    pod = publisher.deploy(publisher.manifest("hello", unique("moved"), awake))
    home = tmp_path / "empty"
    home.mkdir()
    listed = publisher.run("list", home=home).json["pods"]
    assert [one["name"] for one in listed if one["channel"] == pod.channel] == [pod.name]
    assert publisher.run("status", pod.name, home=home).json["phase"] == "serving"
    assert "logs" in publisher.run("logs", pod.name, home=home).json
    assert finish(publisher.start("exec", pod.name, "--", "echo", "here", home=home), 0).out == "here\n"
    assert publisher.run("stop", pod.name, home=home).json["replicas"] == 0
    assert publisher.run("start", pod.name, home=home).json["ready"] == 1
    publisher.manifest("hello", pod.name, larger)
    updated = publisher.run("deploy", pod.file.name, "--yes", home=home).json
    assert updated["channel"] == pod.channel
    assert web.get(pod.url).status == 200
    [closed] = publisher.run("close", pod.name, home=home).json["channels"]
    assert closed["state"] == "unlocking"
