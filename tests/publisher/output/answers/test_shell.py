# SPDX-License-Identifier: Apache-2.0
"""`context` and `version` print what their schemas say, and `render` what a provider made."""

import json

import pytest
from click.testing import CliRunner

from tests.publisher.conftest import ListShow
from tests.publisher.output.answers.held import hold
from trustedpods.protocol.ids import parse_address
from trustedpods.publisher.cli import main
from trustedpods.publisher.commands.streams.logs import line_json
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.output.json_of import json_of
from trustedpods.publisher.output.json_run import run_json
from trustedpods.publisher.results.providers import ProviderId, RenderResult
from trustedpods.publisher.results.streams.followed import FollowedLogLine

PROVIDER = parse_address("0x" + "70" * 20)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("TRUSTEDPODS_MARKET", "TRUSTEDPODS_KEY", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def printed(*words: str) -> dict:
    done = CliRunner().invoke(main, [*words, "-o", "json"])
    assert done.exit_code == 0, done.output
    hold([*words, "-o", "json"], done.stdout)
    return json.loads(done.stdout)


def test_contexts(home):
    assert printed("context", "list")["contexts"] == {}
    made = printed("context", "map", f"k1={PROVIDER}/1")
    assert made["contexts"]["default"]["clusters"] == {"k1": f"{PROVIDER}/1"}
    assert made["current"] == "default"
    printed("context", "use", "default", "--policy", "strict")
    assert printed("context", "unmap", "k1")["contexts"]["default"]["policy"] == "strict"


def test_the_version():
    assert set(printed("version")) == {"schema", "version", "seconds", "steps", "events"}


def test_rendered_objects():
    result = RenderResult(
        ProviderId(PROVIDER, 1, "/ip4/127.0.0.1/tcp/4001", "eu"),
        "web",
        ({"kind": "Namespace", "metadata": {"name": "a"}},),
    )
    tree = run_json(json_of(result), Journal(ListShow()), verb="render")
    hold(["render", "-o", "json"], json.dumps(tree))


@pytest.mark.parametrize("at_ns", [1_790_000_000_000_000_001, None])
def test_a_line_that_is_followed(at_ns: int | None):
    line = FollowedLogLine(at_ns, "web-0", "app", b"\xff text")
    hold(["logs", "web", "-f", "-o", "json"], json.dumps(line_json(line)))
