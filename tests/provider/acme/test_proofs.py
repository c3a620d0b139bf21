# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest
import trio

from trustedpods.protocol.errors import BadInput, NetworkFailure
from trustedpods.provider.acme.authority import NameProof
from trustedpods.provider.acme.failures import OrderFailure
from trustedpods.provider.acme.proofs import (
    HookProofs,
    PageProofs,
    RecordProofs,
    proofs_for,
    taken_back,
)
from trustedpods.provider.acme.settings import AcmeSettings
from trustedpods.provider.core.certificates.types import FailureKind

PROOF = NameProof("https://ca/1", "k1.example.org", "pending", "abc_-1", "abc_-1.print", "digest", "")
BASE = {"directory": "https://ca.example/dir", "terms_agreed": True}


def hook(tmp_path, text: str) -> str:
    path = tmp_path / "hook"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


async def test_pages_are_shown_by_their_paths_and_taken_back():
    shown = []

    async def show(pages):
        shown.append(dict(pages))

    proofs = PageProofs(show)
    await proofs.show([PROOF])
    await proofs.take_back([PROOF])
    assert shown == [{"/.well-known/acme-challenge/abc_-1": "abc_-1.print"}, {}]


@pytest.mark.parametrize("token", ["", "a/b", "a b", "a\nb", "../x", "é", "a" * 257])
async def test_a_token_that_is_none_reaches_nobody(token):
    async def show(pages):
        raise AssertionError(pages)

    with pytest.raises(OrderFailure) as told:
        await PageProofs(show).show([replace(PROOF, token=token)])
    assert told.value.kind is FailureKind.LOST


async def test_a_hook_is_told_all_and_inherits_nothing(tmp_path):
    told = tmp_path / "told"
    program = [hook(tmp_path, f'echo "$1 $2 $ACME_NAME $ACME_VALUE $ACME_DOMAIN $HOME" >> {told}'), "zone"]
    proofs = HookProofs(program, 20)
    await proofs.show([PROOF])
    await proofs.take_back([PROOF])
    name = "_acme-challenge.k1.example.org"
    assert told.read_text().splitlines() == [
        f"zone {word} {name} digest k1.example.org " for word in ("present", "cleanup")
    ]


async def test_a_hook_that_fails_keeps_the_order(tmp_path):
    proofs = HookProofs([hook(tmp_path, "exit 3")], 20)
    with pytest.raises(OrderFailure, match="ended with code 3") as told:
        await proofs.show([PROOF])
    assert told.value.kind is FailureKind.LATER
    assert "ended with code 3" in await taken_back(proofs, [PROOF])
    with pytest.raises(OrderFailure, match="cannot be run"):
        await HookProofs([str(tmp_path / "none")], 20).show([PROOF])


async def test_a_hook_that_does_not_end_is_ended_with_what_it_started(tmp_path):
    pid = tmp_path / "pid"
    proofs = HookProofs([hook(tmp_path, f"trap '' TERM\nsleep 600 &\necho $! > {pid}\nwait; wait")], 1)
    with pytest.raises(OrderFailure, match="did not end within 1 s"):
        await proofs.show([PROOF])
    with trio.fail_after(10):
        while _runs(int(pid.read_text())):
            await trio.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().split()[2] != "Z"
    except FileNotFoundError:
        return False


async def nobody(pages) -> None:
    raise NetworkFailure("not asked")


def test_the_way_follows_from_the_settings(tmp_path):
    http = AcmeSettings.model_validate({**BASE, "challenge": "http-01"})
    assert isinstance(proofs_for(http, "k1.example.org", nobody), PageProofs)
    by_hook = AcmeSettings.model_validate({**BASE, "challenge": "dns-01", "hook": ["/usr/bin/hook"]})
    assert isinstance(proofs_for(by_hook, "k1.example.org", nobody), HookProofs)
    key = tmp_path / "zone.key"
    zone = {**BASE, "challenge": "dns-01", "dns_server": "192.0.2.1:53", "dns_key_file": str(key)}
    with pytest.raises(BadInput, match="cannot be read"):
        proofs_for(AcmeSettings.model_validate(zone), "k1.example.org", nobody)
    key.write_text('key "a" { algorithm hmac-sha256; secret "c2VjcmV0"; };')
    assert isinstance(proofs_for(AcmeSettings.model_validate(zone), "k1.example.org", nobody), RecordProofs)
