# SPDX-License-Identifier: Apache-2.0
"""What the doctor says of the machine around: each with a case where it is good and one where it is not."""

import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from tests.provider.test_config import GOOD
from trustedpods.protocol.errors import NoContext
from trustedpods.provider.acme.files import OrderFiles
from trustedpods.provider.admin import outside
from trustedpods.provider.admin.outside import (
    BEHIND_S,
    certificate_lasts,
    clock_against,
    gas_lasts,
    names_lead_here,
    ordered_lasts,
)
from trustedpods.provider.config import load_config
from trustedpods.provider.core.certificates.types import HeldCertificate, RenewalState
from trustedpods.provider.facade.certificates import Authority
from trustedpods.provider.facade.haproxy.tls import PROVIDER

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def config_of(tmp_path, *changes):
    text = GOOD.replace("/var/lib/tp", str(tmp_path)).replace("/run/keys", str(tmp_path))
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "provider.toml").write_text(text)
    return load_config(tmp_path / "provider.toml")


@pytest.mark.parametrize(("block", "told"), [(1000, "0 s after"), (990, "10 s after"), (1015, "-15 s after")])
def test_a_clock_like_the_chains(block, told):
    assert told in clock_against(1000, block)


@pytest.mark.parametrize(
    ("block", "told"), [(1016, "16 s behind the chain"), (999 - BEHIND_S, "the node stands still")]
)
def test_a_clock_that_is_not(block, told):
    with pytest.raises(NoContext, match=told) as caught:
        clock_against(1000, block)
    assert "timedatectl" in caught.value.hint


def test_names_that_lead_here_and_elsewhere():
    ours = ["203.0.113.7", "10.0.0.2"]
    assert names_lead_here("k1.example.org", ["203.0.113.7"], ["203.0.113.7"], ours).endswith("203.0.113.7")
    assert "which only people miss" in names_lead_here("k1.example.org", ["203.0.113.7"], [], ours)
    with pytest.raises(NoContext, match="leads nowhere") as caught:
        names_lead_here("k1.example.org", [], ["203.0.113.7"], ours)
    assert caught.value.hint == "a record in DNS: *.k1.example.org A 203.0.113.7"
    with pytest.raises(NoContext, match=r"leads to 198\.51\.100\.1, and this machine is told at"):
        names_lead_here("k1.example.org", ["198.51.100.1"], [], ours)
    named = ["peer.k1.example.org", "10.0.0.2"]
    assert names_lead_here("k1.example.org", ["198.51.100.1"], ["198.51.100.1"], named)


async def test_names_under_localhost_need_no_dns(tmp_path):
    assert "localhost" in await outside.names(config_of(tmp_path, ("example.org", "localhost")))


def test_for_how_many_days_coin_lasts():
    a_day = 30_000 + 50_000 + 10_000
    assert "last 10 days" in gas_lasts(10 * a_day * 7, 7, 1, 86_400)
    with pytest.raises(NoContext, match="last 6 days at 7 wei a unit, with 1 pods"):
        gas_lasts(6 * a_day * 7, 7, 1, 86_400)
    with pytest.raises(NoContext, match="last 0 days"):
        gas_lasts(0, 0, 50, 60)


async def test_room_on_the_disk(tmp_path):
    assert "free for books" in await outside.disk(config_of(tmp_path))
    huge = config_of(tmp_path, ("[store]\n", "[store]\nmin_free_mib = 1048576\nreserve_mib = 65536\n"))
    with pytest.raises(NoContext, match="are needed") as caught:
        await outside.disk(huge)
    assert caught.value.where == str(tmp_path)


async def test_ports_that_answer_here(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as web, socket.create_server(("127.0.0.1", 0)) as peer:
        numbers = [one.getsockname()[1] for one in (web, peer)]
        config = config_of(
            tmp_path,
            ("[facade]\n", f'[facade]\nbinds = ["127.0.0.1:{numbers[0]}", "127.0.0.1:1"]\n'),
            ("/ip4/10.0.0.2/tcp/4001", f"/ip4/127.0.0.1/tcp/{numbers[1]}"),
        )
        assert f"nc -vz 127.0.0.1 {numbers[1]}" in await outside.ports(config)
        peer.close()
        with pytest.raises(NoContext, match=f"127.0.0.1:{numbers[1]}, which is for clients") as caught:
            await outside.ports(config)
        assert caught.value.hint == "systemctl start trustedpods-provider"


@dataclass
class Issued:
    leaf: x509.Certificate
    pem: bytes


def issued(by, begins=NOW):
    key = ec.generate_private_key(ec.SECP256R1())
    made = Authority.make(by, begins).issue(["k1.example.org"], key, begins)
    return Issued(x509.load_pem_x509_certificates(made.pem)[0], made.pem)


def test_a_certificate_until_its_end():
    leaf = issued("k1.example.org").leaf
    assert "self-made, so browsers warn of it, until 2026-04-01 (90 days)" in certificate_lasts(
        leaf, None, NOW
    )
    with pytest.raises(NoContext, match="in 9 days") as caught:
        certificate_lasts(leaf, None, NOW + timedelta(days=80, hours=1))
    assert "is it running" in caught.value.hint
    with pytest.raises(NoContext, match="the configured one cannot be used"):
        certificate_lasts(leaf, "/k/chain.pem", NOW)


DAY = 86400
HELD = HeldCertificate(("k1.example.org",), 0, 90 * DAY)


def test_an_ordered_certificate_until_its_end():
    assert ordered_lasts(RenewalState(HELD), HELD.names, DAY) == (
        "by ACME, until 1970-04-01 (89 days), renewed from 1970-03-02 on"
    )
    troubled = RenewalState(HELD, failures=2, problem="no answer")
    assert ordered_lasts(troubled, HELD.names, 61 * DAY).endswith("on; the last try failed: no answer")
    for day, told in ((80, "ends in 10 days"), (91, "has ended")):
        with pytest.raises(NoContext, match=f"{told}.*the last try failed: no answer"):
            ordered_lasts(troubled, HELD.names, day * DAY)
    with pytest.raises(NoContext, match="no certificate is ordered yet"):
        ordered_lasts(RenewalState(), HELD.names, 0)


def test_a_name_that_the_certificate_does_not_have_is_told():
    troubled = RenewalState(HELD, failures=2, problem="no answer")
    with pytest.raises(NoContext, match=r"not for api.k1\.example\.org yet; the last try failed: no answer"):
        ordered_lasts(troubled, (*HELD.names, "api.k1.example.org"), DAY)
    more = RenewalState(HeldCertificate((*HELD.names, "old.k1.example.org"), 0, 90 * DAY))
    assert "by ACME" in ordered_lasts(more, HELD.names, DAY), "what is not wanted any more harms nobody"


async def test_of_an_ordered_certificate_the_state_is_read(tmp_path):
    acme = (
        '[tls]\nacme = {directory = "https://ca.example/dir", terms_agreed = true, challenge = "http-01"}\n\n'
    )
    config = config_of(tmp_path, ("[facade]\n", f'{acme}[facade]\ntls_binds = ["*:443"]\n'))
    (tmp_path / f"{PROVIDER}.pem").write_bytes(issued("x", datetime.now(UTC)).pem)
    with pytest.raises(NoContext, match="no certificate is ordered yet"):
        await outside.certificate(config)
    now = int(datetime.now(UTC).timestamp())
    held = HeldCertificate(("k1.example.org",), now, now + 90 * DAY)
    OrderFiles(config.acme_dir).keep_state(RenewalState(held))
    assert "by ACME" in await outside.certificate(config)


async def test_the_certificate_that_is_shown_is_read(tmp_path):
    assert "no https" in await outside.certificate(config_of(tmp_path))
    config = config_of(tmp_path, ("[facade]\n", '[facade]\ntls_binds = ["*:443"]\n'))
    with pytest.raises(NoContext, match="no certificate yet"):
        await outside.certificate(config)
    (tmp_path / f"{PROVIDER}.pem").write_bytes(issued("x", datetime.now(UTC)).pem)
    assert "89 days" in await outside.certificate(config) or "90 days" in await outside.certificate(config)
