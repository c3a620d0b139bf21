# SPDX-License-Identifier: Apache-2.0
"""What each verb loads until its first question to the chain, which nobody answers, and no more."""

import os
import subprocess
import sys

import pytest

from tests.bench.imports import MARKET, VERBS

NEVER = {
    "aiohttp",
    "aioquic",
    "dns",
    "eth_keyfile",
    "kubernetes",
    "psutil",
    "py_ecc",
    "pycparser",
    "requests",
    "sqlalchemy",
    "web3",
    "websockets",
    "zeroconf",
}
"""Libraries that no verb loads."""

LATER = {
    "dcap_qvl": "evidence of TDX",
    "eth_account.account": "a transaction to sign",
    "libp2p": "a provider to dial",
    "rich": "a terminal",
    "trustedpods.manifests.parse": "a manifest",
    "trustedpods.manifests.spec.pod": "a manifest",
    "trustedpods.protocol.attestation.verdict": "a provider's evidence",
}
"""What is loaded when there is something to do with it, and not before the chain has answered."""

AT_ONCE = {
    "provider list": {
        "dcap_qvl",
        "trustedpods.manifests.spec.pod",
        "trustedpods.protocol.attestation.verdict",
    },
}
"""What a verb of the table may load all the same."""


@pytest.fixture
def home(tmp_path):
    (tmp_path / "market.toml").write_text(MARKET)
    (tmp_path / "key").write_text("11" * 32)
    (tmp_path / "key").chmod(0o600)
    return tmp_path


def loaded(words, home):
    """All modules in a process that ran a verb, and its exit code."""
    code = (
        "import sys\nfrom trustedpods.publisher.cli import main\n"
        f"try:\n    main({list(words)!r})\nexcept SystemExit as end:\n    code = end.code\n"
        "print('\\n', code, *sys.modules)"
    )
    settings = {"TRUSTEDPODS_MARKET": str(home / "market.toml"), "TRUSTEDPODS_KEY": str(home / "key")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **settings, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    exit_code, *names = done.stdout.splitlines()[-1].split()
    return int(exit_code), set(names)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_loads_only_what_it_uses(home, verb):
    code, names = loaded(VERBS[verb], home)
    assert code == 8  # it came as far as the chain
    assert "httpx" in names
    assert NEVER & names == set()
    assert (LATER.keys() - AT_ONCE.get(verb, set())) & names == set()
    assert forms(names) == set()


FORMS = "trustedpods.publisher.output.answers"
"""Types of what `-o json` prints, and the schemas that are made of them: for `schema` alone."""


def forms(names):
    return {name for name in names if name.startswith(f"{FORMS}.")}


@pytest.mark.parametrize(
    "words", [("--help",), ("status", "--help"), ("schema", "--help"), ("init", "--help")], ids=" ".join
)
def test_help_loads_no_form(home, words):
    code, names = loaded(words, home)
    assert code == 0
    assert forms(names) == set()


@pytest.mark.parametrize("verb", VERBS)
def test_an_object_names_its_schema_and_loads_no_form(home, verb):
    code, names = loaded((*VERBS[verb], "-o", "json"), home)
    assert code == 8
    assert forms(names) == {f"{FORMS}.published"}
