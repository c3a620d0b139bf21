# SPDX-License-Identifier: Apache-2.0
"""History as a script: a shell reads it back as the very same commands, and secrets are asked for."""

import shlex
import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.networks.team import BOB
from tests.protocol.networks.test_content import STATE
from trustedpods.protocol.networks.content import NetworkContent
from trustedpods.protocol.networks.history import HistoryRecord, SecretText, arguments
from trustedpods.publisher.core.networks.history import as_script, holds_all

VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40)


def state(*records: HistoryRecord, dropped: int = 0) -> NetworkContent:
    return STATE.model_copy(update={"history": [list(records)], "dropped": dropped})


def applied(*given_: tuple[str, str | SecretText], result: str = "done", at: int = 0) -> HistoryRecord:
    return HistoryRecord(
        at=at,
        by=BOB.card.member,
        verb="network apply",
        arguments=arguments(given_),
        result=result,
        generation=1,
    )


def test_commands_that_succeeded_come_in_their_order() -> None:
    script = as_script(state(applied(("file", "a b.yaml")), applied(("file", "no"), result="refused")))
    assert script == [
        "#!/bin/sh",
        "set -eu",
        f"# 1970-01-01 00:00:00Z {BOB.address}",
        "trustedpods network apply 'a b.yaml'",
    ]


@given(VALUES)
def test_a_shell_reads_each_value_back(value: str) -> None:
    line = "\n".join(as_script(state(applied(("file", value), ("--wait", "10m"))))[3:])
    assert shlex.split(line) == ["trustedpods", "network", "apply", value, "--wait", "10m"]


def test_a_flag_has_no_value() -> None:
    assert (
        as_script(state(applied(("file", "x"), ("--purge", ""))))[3] == "trustedpods network apply x --purge"
    )


def test_of_two_states_the_later_one_has_every_command_of_the_other() -> None:
    one, two = applied(("file", "x")), applied(("file", "y"), at=1)
    assert holds_all(state(one, two), state(one))
    assert not holds_all(state(one), state(one, two))
    assert not holds_all(state(one), state(one, dropped=1))
    assert not holds_all(state(one), state())


def test_a_comment_never_becomes_a_command() -> None:
    lines = as_script(state(applied(("file", "x"), at=(1 << 64) - 1), dropped=7))
    assert lines[2] == "# 7 older commands were rotated out and are not here"
    assert lines[3].startswith(f"# at {(1 << 64) - 1} 0x")
    assert "\n" not in lines[3]


def test_a_secret_that_is_not_set_ends_the_script(tmp_path: Path) -> None:
    lines = as_script(state(applied(("--token", SecretText("hunter2")))))
    assert "hunter2" not in "\n".join(lines)
    (tmp_path / "trustedpods").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "trustedpods").chmod(0o755)
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}

    def run(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "-c", "\n".join(lines)], env=environment, capture_output=True, text=True, check=False
        )

    assert run(path | {"SECRET_TOKEN": "a b"}).stdout == "network apply --token a b\n"
    missing = run(path)
    assert missing.returncode != 0
    assert "SECRET_TOKEN" in missing.stderr
