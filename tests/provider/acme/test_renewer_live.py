# SPDX-License-Identifier: Apache-2.0
"""Certificates of a real authority (Pebble): issued, renewed, revoked, past their end, killed in between."""

import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from stat import S_IMODE

import pytest
import trio
from acme import client as library
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from tests.live.clients import protocols
from tests.provider.acme.pebble import Pebble, pebble
from tests.provider.acme.zone import KEY, Zone
from tests.provider.facade.parts import free_port, live_facade
from trustedpods.protocol.errors import Refused
from trustedpods.provider.acme.authority import AcmeAccount
from trustedpods.provider.acme.files import OrderFiles
from trustedpods.provider.acme.proofs import HookProofs, PageProofs, Proofs, RecordProofs
from trustedpods.provider.acme.renewer import AcmeRenewal, RenewalPlace
from trustedpods.provider.acme.settings import AcmeSettings
from trustedpods.provider.core.certificates.types import (
    AskSuggestion,
    FinalizeOrder,
    OpenAccount,
    OrderStage,
    PlaceOrder,
    ProveNames,
    RenewalCommand,
    WaitUntil,
)
from trustedpods.provider.dns.updates import ZoneUpdates
from trustedpods.provider.facade.certificates import Certificate, certificate_pem, provider_names
from trustedpods.provider.facade.haproxy.tls import PROVIDER

pytestmark = pytest.mark.live

DOMAIN = "k1.acme.test"
RECORD = f"_acme-challenge.{DOMAIN}."
POLL_S = 0.05
LIFE_S = 4
"""Of a certificate whose end a test waits for."""


@dataclass
class World:
    """An authority, a zone, and the folder of one provider."""

    ca: Pebble
    zone: Zone
    home: Path
    now: float = field(default_factory=time.time)
    shown: int = 0

    def settings(self, **changes: object) -> AcmeSettings:
        values: dict[str, object] = {
            "directory": self.ca.directory,
            "contact": ["mailto:operator@acme.test"],
            "terms_agreed": True,
            "challenge": "dns-01",
            "trusted_root": str(self.ca.root),
            "dns_server": self.zone.server,
            "dns_key_file": "/not/read",
        }
        return AcmeSettings.model_validate({**values, **changes})

    @property
    def files(self) -> OrderFiles:
        return OrderFiles(self.home / "acme")

    def renewal(
        self, proofs: Proofs | None = None, settings: AcmeSettings | None = None, key=None
    ) -> AcmeRenewal:
        """As a daemon that was just started has it."""
        by_zone = RecordProofs(ZoneUpdates(self.zone.server, DOMAIN, KEY))

        async def changed() -> None:
            self.shown += 1

        place = RenewalPlace(
            settings or self.settings(), DOMAIN, self.files, proofs or by_zone, key, lambda: self.now, changed
        )
        return AcmeRenewal(place, POLL_S)

    def leaf(self) -> x509.Certificate:
        return x509.load_pem_x509_certificates(self.files.certificate())[0]


@asynccontextmanager
async def world(home: Path, **options: object) -> AsyncIterator[World]:
    zone = Zone(free_port())
    async with trio.open_nursery() as nursery:
        await nursery.start(zone.run)
        async with pebble(home, dns=zone.server, **options) as ca:
            yield World(ca, zone, home)
        nursery.cancel_scope.cancel()


async def until_waiting(renewal: AcmeRenewal) -> list[RenewalCommand]:
    """All that is done until there is nothing to do."""
    done = [await renewal.begin()]
    while not isinstance(done[-1], WaitUntil):
        done.append(await renewal.carry_on(done[-1]))
        assert len(done) < 20
    return done


async def until_stored(renewal: AcmeRenewal) -> None:
    """The next certificate. Pebble's clock is the real one: at another it may be due for renewal at once."""
    command, before = await renewal.begin(), len(renewal.state.issued)
    assert isinstance(command, OpenAccount)
    while len(renewal.state.issued) == before:
        command = await renewal.carry_on(command)
        assert not isinstance(command, WaitUntil), renewal.state.problem


async def test_the_wildcard_is_issued_renewed_and_revoked(tmp_path):
    async with world(tmp_path) as here:
        renewal = here.renewal()
        done = await until_waiting(renewal)
        assert [type(one) for one in done[:4]] == [OpenAccount, PlaceOrder, ProveNames, FinalizeOrder]
        first = here.leaf()
        names = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert set(names.get_values_for_type(x509.DNSName)) == set(provider_names(DOMAIN))
        assert here.shown == 1
        assert here.zone.texts == {RECORD: set()}, "the proofs are taken back"
        modes = {path.name: S_IMODE(path.stat().st_mode) for path in here.files.folder.iterdir()}
        assert modes == dict.fromkeys(("account.key", "order.key", "state.json", "certificate.pem"), 0o600)
        held = renewal.state.held
        assert held is not None
        assert held.suggested is not None, "Pebble says when"

        assert len(await until_waiting(here.renewal())) == 1, "a restart orders nothing"

        here.now = held.not_before + (held.not_after - held.not_before) * 2 / 3 + 1
        await until_stored(here.renewal())
        second = here.leaf()
        assert second.serial_number != first.serial_number
        assert second.public_key() != first.public_key(), "each certificate has its own key"

        here.now = time.time()
        await trio.to_thread.run_sync(revoke, here, second)
        state = here.files.state()
        assert state.held is not None
        # at the other clock the next was begun, and killed
        here.files.keep_state(replace(state, held=replace(state.held, ask_at=0), order=None))
        done = await until_waiting(here.renewal())
        assert [type(one) for one in done[:2]] == [AskSuggestion, OpenAccount], "at once"
        assert here.leaf().serial_number != second.serial_number


async def test_past_its_end_another_is_ordered_at_once(tmp_path):
    async with world(tmp_path, life_s=LIFE_S) as here:
        here.now = time.time()
        await until_stored(here.renewal())
        first = here.leaf()
        while (left := first.not_valid_after_utc.timestamp() - time.time()) > -1:
            await trio.sleep(max(left + 1, 0.01))
        here.now = time.time()
        await until_stored(here.renewal())
        assert here.leaf().not_valid_after_utc > first.not_valid_after_utc


async def test_what_is_past_its_end_by_our_clock_is_not_taken(tmp_path):
    async with world(tmp_path) as here:
        await until_stored(here.renewal())
        first = here.leaf()
        here.now = first.not_valid_after_utc.timestamp() + 86400
        renewal = here.renewal()
        done = await until_waiting(renewal)
        assert FinalizeOrder in map(type, done), "it was ordered at once"
        assert "was valid until" in renewal.state.problem
        assert here.leaf() == first


def revoke(here: World, leaf: x509.Certificate) -> None:
    account = AcmeAccount(here.ca.directory, here.files.account_key(), here.ca.root)
    account.open(())
    opened: library.ClientV2 = account._open
    opened.revoke(leaf, 1)


async def test_a_kill_at_every_command_ends_in_one_certificate(tmp_path):
    async with world(tmp_path) as here:
        stages = []
        for steps in (0, 1, 2, 1):  # what one daemon does before it is killed
            here.now += 3600  # an order that may not have arrived is placed again after a pause
            renewal = here.renewal()
            command = await renewal.begin()
            for _ in range(steps):
                command = await renewal.carry_on(command)
            order = here.files.state().order
            assert order is not None
            stages.append(order.stage)
        assert stages == list(OrderStage)
        before = here.files.order_key()
        renewal = here.renewal()
        command = await renewal.begin()
        assert isinstance(command, FinalizeOrder)
        await renewal._carry_out(command)  # stored, and killed before that was written down
        stored = here.leaf()
        await until_waiting(here.renewal())
        assert here.leaf() == stored
        assert stored.public_key() == before.public_key()
        assert len(here.files.state().issued) == 1


async def test_a_sealed_provider_has_its_attested_key_certified(tmp_path):
    async with world(tmp_path) as here:
        key = ec.generate_private_key(ec.SECP256R1())
        await until_waiting(here.renewal(key=key))
        with_keys = [path.name for path in here.files.folder.iterdir() if b"PRIVATE KEY" in path.read_bytes()]
        assert with_keys == ["account.key"], "the attested key stays in memory"
        assert len(await until_waiting(here.renewal(key=key))) == 1, "it is used again in this boot"
        assert here.leaf().public_key() == key.public_key()
        other = ec.generate_private_key(ec.SECP256R1())  # another boot
        await until_waiting(here.renewal(key=other))
        assert here.leaf().public_key() == other.public_key()
        assert not (here.files.folder / "order.key").exists()


async def test_refusals_are_told_and_tried_again_later(tmp_path):
    async with world(tmp_path) as here:
        here.zone.refuses = True
        renewal = here.renewal()
        await until_waiting(renewal)
        assert "REFUSED" in renewal.state.problem
        assert renewal.state.order is not None, "the order is not at fault"
        here.zone.refuses = False

        class Silent(RecordProofs):
            async def show(self, proofs):
                """Shows nothing."""

        here.now += 400
        renewal = here.renewal(Silent(ZoneUpdates(here.zone.server, DOMAIN, KEY)))
        await until_waiting(renewal)
        assert "did not see the proof" in renewal.state.problem
        assert renewal.state.order is None
        assert renewal.state.failures == 2
        here.now += 700
        await until_waiting(here.renewal())
        assert here.files.state().problem == ""
        await here.ca.process.end()
        here.now += 80 * 86400
        renewal = here.renewal()
        await until_waiting(renewal)
        assert "does not answer" in renewal.state.problem


async def test_an_operators_hook_proves_the_wildcard(tmp_path):
    async with world(tmp_path) as here:
        wanted = tmp_path / "records"
        wanted.mkdir()
        hook = tmp_path / "hook.sh"
        hook.write_text(
            f"#!/bin/sh\nset -e\ncase $1 in\npresent) echo $ACME_NAME. > {wanted}/$ACME_VALUE;;\n"
            f"cleanup) rm {wanted}/$ACME_VALUE;;\nesac\n"
        )
        hook.chmod(0o755)

        class Seen(HookProofs):
            """The zone's server reads what the hook wrote."""

            async def show(self, proofs):
                await super().show(proofs)
                for file in wanted.iterdir():
                    here.zone.texts.setdefault(file.read_text().strip(), set()).add(file.name)
                assert here.zone.texts.keys() == {RECORD}

        settings = here.settings(hook=[str(hook)], dns_server=None, dns_key_file=None)
        await until_waiting(here.renewal(Seen(settings.hook, 10), settings))
        assert here.leaf()
        assert list(wanted.iterdir()) == []


async def test_a_facade_without_the_map_of_pages_is_told_with_what_to_do(tmp_path):
    async with live_facade(tmp_path) as live:
        with pytest.raises(Refused) as told:
            await live.facade.answer_challenges({"/.well-known/acme-challenge/a": "b"})
        assert "facade-files, then restart HAProxy" in str(told.value.hint)


async def test_plain_names_are_proven_through_the_facade_and_shown_by_it(tmp_path):
    async with (
        live_facade(tmp_path, tls=True, challenges=True) as live,
        world(tmp_path, http_port=live.port) as here,
    ):
        settings = here.settings(
            challenge="http-01", names=[f"api.{DOMAIN}"], dns_server=None, dns_key_file=None
        )
        await live.facade.sync()
        before = await live.runtime.boot()
        renewal = here.renewal(PageProofs(live.facade.answer_challenges), settings)
        await until_waiting(renewal)
        assert renewal.state.problem == ""
        await live.facade.certify(PROVIDER, Certificate(here.files.certificate()))
        root = await trio.to_thread.run_sync(here.ca.root_of_certificates)
        context = ssl.create_default_context(cadata=certificate_pem(root).decode())
        port = live.config.tls_binds[0].port
        for name in (DOMAIN, f"api.{DOMAIN}"):
            status, _ = await trio.to_thread.run_sync(protocols.tls_get, port, name, context, "/")
            assert status == 404, "trusted, and nobody's host"
        assert await live.runtime.boot() == before, "without a restart"
        assert live.config.challenge_map.read_text() == ""
