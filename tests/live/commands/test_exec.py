# SPDX-License-Identifier: Apache-2.0
"""Commands in a pod that runs: bytes both ways, exit codes, and what happens when somebody goes away."""

import random
from pathlib import Path

import pytest

from tests.live.clients.publisher import Deployed, Json, Publisher
from tests.live.commands import running as commands
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.waiting import until

pytestmark = pytest.mark.live

BYTES = random.Random(5).randbytes(5_000_000)


def awake(spec: Json) -> None:
    spec["scale"] = {"min": 1, "max": 1}
    spec["containers"][0]["resources"] = {"limits": {"cpu": "500m", "memory": "64Mi"}}


@pytest.fixture(scope="module")
def pod(publisher: Publisher) -> Deployed:
    return publisher.deploy(publisher.manifest("hello", unique("exec"), awake))


def test_five_megabytes_come_back_as_they_went(publisher: Publisher, pod: Deployed) -> None:
    assert commands.check(publisher, pod.name, "--", "cat", data=BYTES) == BYTES


def test_outputs_stay_apart_and_the_exit_code_is_the_commands_own(
    publisher: Publisher, pod: Deployed
) -> None:
    ran = commands.run(publisher, pod.name, "--", "sh", "-c", 'echo "$0 out"; echo err >&2; exit 7', "an é")
    assert (ran.code, ran.out, ran.err) == (7, "an é out\n".encode(), b"err\n")
    assert commands.run(publisher, pod.name, "--", "sh", "-c", "kill -9 $$").code == 128 + 9


def test_what_is_refused_ends_with_a_code_that_is_ours(publisher: Publisher, pod: Deployed) -> None:
    missing = commands.run(publisher, pod.name, "--", "no-such-program")
    assert missing.code == 246
    assert b"no-such-program" in missing.err
    assert b"[exec-start]" in missing.err
    nowhere = commands.run(publisher, pod.name, "-c", "nobody", "--", "true")
    assert (nowhere.code, b"[container]" in nowhere.err) == (246, True)


def test_a_command_ends_when_its_client_is_killed(publisher: Publisher, pod: Deployed) -> None:
    """It is told so by the end of its input, of which the client had not come to an end."""
    told = "echo began; cat > /dev/null; echo told > /tmp/told"
    with commands.start(publisher, pod.name, "--", "sh", "-c", told) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"began\n"
        assert b"cat > /dev/null" in commands.check(publisher, pod.name, "--", "ps")
        process.kill()
    until("it was told", lambda: commands.run(publisher, pod.name, "--", "cat", "/tmp/told").out == b"told\n")
    assert b"cat > /dev/null" not in commands.check(publisher, pod.name, "--", "ps")


def test_a_reader_that_goes_away_ends_the_client_as_a_pipe_does(publisher: Publisher, pod: Deployed) -> None:
    with commands.start(publisher, pod.name, "--", "sh", "-c", "cat; while echo more; do :; done") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"first\n")
        process.stdin.close()
        assert process.stdout.readline() == b"first\n"
        process.stdout.close()
        assert process.wait(timeout=60) == 141


def test_the_history_says_that_a_command_ran_and_never_which(
    market: LiveLocalnet, publisher: Publisher, pod: Deployed
) -> None:
    commands.check(publisher, pod.name, "--", "echo", "a-very-secret-word")
    status = publisher.run("status", pod.name)
    [*_, last] = [event for event in status.json["pod_events"] if event["reason"] == "exec"]
    assert "2 words" in last["text"]
    assert "a-very-secret-word" not in status.out
    logs = list((market.state / "log").iterdir())
    assert {"k1-provider.log", "k1-apiserver.log", "k1-containerd.log"} <= {log.name for log in logs}
    assert [log.name for log in logs if b"a-very-secret-word" in log.read_bytes()] == []


def test_another_machine_lists_the_pod_by_the_key_alone(
    publisher: Publisher, pod: Deployed, tmp_path: Path
) -> None:
    listed = publisher.run("list", home=tmp_path / "empty").json
    [mine] = [one for one in listed["pods"] if one["channel"] == pod.channel]
    assert (mine["name"], mine["phase"], mine["error"]) == (pod.name, "serving", None)
    assert mine["urls"] == [end["url"] for end in pod.result["endpoints"]]
    assert publisher.run("status", pod.channel, home=tmp_path / "empty").json["phase"] == "serving"
