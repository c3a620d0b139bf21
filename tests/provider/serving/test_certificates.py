# SPDX-License-Identifier: Apache-2.0
"""Which certificate of its own the provider shows: an authority's, or a self-made one."""

import time
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from tests.fakes.facade import FakeFacade
from tests.provider.admin.test_outside import config_of
from trustedpods.provider.acme.files import OrderFiles
from trustedpods.provider.config import ProviderConfig
from trustedpods.provider.facade.certificates import (
    VALID,
    Authority,
    Certificate,
    provider_names,
    utc,
)
from trustedpods.provider.facade.haproxy.tls import PROVIDER, PROVIDER_NAMES
from trustedpods.provider.keys.boot import BootKeys
from trustedpods.provider.serving.certificates import ordered_key, show_own, shown_end

DOMAIN = "k1.example.org"
DNS = 'challenge = "dns-01", hook = ["/usr/bin/hook"]'
HTTP = f'challenge = "http-01", names = ["api.{DOMAIN}"]'


@dataclass
class Doors:
    """What of the doors is used here."""

    config: ProviderConfig
    keys: BootKeys = field(default_factory=BootKeys.generate)
    facade: FakeFacade = field(default_factory=FakeFacade)
    now: float = field(default_factory=time.time)

    def clock(self) -> float:
        return self.now

    @property
    def shown(self) -> dict[str, Certificate]:
        return self.facade.certificates


def doors_with(tmp_path, how: str, trust: str = "open") -> Doors:
    acme = (
        f'[tls]\nacme = {{ directory = "https://ca.example/dir", terms_agreed = true, {how} }}\n\n[facade]\n'
    )
    config = config_of(
        tmp_path,
        ("[facade]\n", f'{acme}tls_binds = ["*:443"]\n'),
        ('trust = "open"', f'trust = "{trust}"'),
    )
    return Doors(config)


def ordered(doors: Doors, names, key=None, age=timedelta(0)) -> Certificate:
    """A certificate that came from an authority *age* ago."""
    begins = utc(doors.now) - age
    key = key or ec.generate_private_key(ec.SECP256R1())
    made = Authority.make("an authority", begins).issue(list(names), key, begins)
    OrderFiles(doors.config.acme_dir).keep_certificate(made.pem)
    return made


def is_self_made(doors: Doors) -> bool:
    leaf = x509.load_pem_x509_certificates(doors.shown[PROVIDER].pem)[0]
    return f"Trusted Pods {DOMAIN}" in leaf.issuer.rfc4514_string()


async def test_until_it_comes_a_self_made_one_is_shown(tmp_path):
    doors = doors_with(tmp_path, DNS)
    await show_own(doors)
    assert is_self_made(doors)
    assert PROVIDER_NAMES not in doors.shown
    made = ordered(doors, provider_names(DOMAIN))
    await show_own(doors)
    assert doors.shown == {PROVIDER: made}


async def test_plain_names_are_shown_beside_a_self_made_wildcard(tmp_path):
    doors = doors_with(tmp_path, HTTP)
    names = (DOMAIN, f"api.{DOMAIN}")
    made = ordered(doors, names)
    await show_own(doors)
    assert is_self_made(doors)
    assert doors.shown[PROVIDER].names == (f"*.{DOMAIN}",)
    assert doors.shown[PROVIDER_NAMES] == Certificate(made.pem, tuple(sorted(names)))
    doors.now += VALID.total_seconds() + 1
    await show_own(doors)
    assert PROVIDER_NAMES not in doors.shown, "what is past its end is shown no more"


@pytest.mark.parametrize("trust", ["open", "sealed"])
async def test_only_a_sealed_provider_asks_for_its_own_key(tmp_path, trust):
    doors = doors_with(tmp_path, DNS, trust)
    ordered(doors, provider_names(DOMAIN))
    await show_own(doors)
    assert is_self_made(doors) == (trust == "sealed")
    assert ordered_key(doors) is (doors.keys.tls if trust == "sealed" else None)
    made = ordered(doors, provider_names(DOMAIN), doors.keys.tls)
    await show_own(doors)
    assert doors.shown[PROVIDER].pem.startswith(made.pem[:100])
    assert not is_self_made(doors)


async def test_one_for_other_names_is_not_shown(tmp_path):
    doors = doors_with(tmp_path, DNS)
    ordered(doors, provider_names("other.example"))
    await show_own(doors)
    assert is_self_made(doors)


async def test_after_a_change_of_names_it_is_shown_for_those_it_has(tmp_path):
    doors = doors_with(tmp_path, f'challenge = "http-01", names = ["api.{DOMAIN}", "new.{DOMAIN}"]')
    made = ordered(doors, (DOMAIN, f"api.{DOMAIN}", "k1.example.com"))
    await show_own(doors)
    assert doors.shown[PROVIDER_NAMES] == Certificate(made.pem, (f"api.{DOMAIN}", DOMAIN))
    assert doors.shown[PROVIDER].names == (f"*.{DOMAIN}",)
    assert is_self_made(doors)
    whole = ordered(doors, provider_names(DOMAIN))
    await show_own(doors)
    assert doors.shown == {PROVIDER: whole}, "of dns-01, which was left"


async def test_an_attested_key_need_not_lie_beside_its_chain(tmp_path):
    doors = doors_with(tmp_path, DNS, "sealed")
    made = ordered(doors, provider_names(DOMAIN), doors.keys.tls)
    chain, _, _ = made.pem.partition(b"-----BEGIN PRIVATE")
    OrderFiles(doors.config.acme_dir).keep_certificate(chain)
    await show_own(doors)
    assert doors.shown == {PROVIDER: made}


async def test_the_end_of_what_is_shown(tmp_path):
    doors = doors_with(tmp_path, DNS)
    assert shown_end(doors) is None
    made = ordered(doors, provider_names(DOMAIN))
    (tmp_path / f"{PROVIDER}.pem").write_bytes(made.pem)
    assert shown_end(doors) == pytest.approx(doors.now + VALID.total_seconds(), abs=2)
    assert shown_end(Doors(config_of(tmp_path))) is None
