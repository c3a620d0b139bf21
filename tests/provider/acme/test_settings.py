# SPDX-License-Identifier: Apache-2.0
import pytest
from pydantic import ValidationError

from tests.provider.test_config import GOOD
from trustedpods.protocol.errors import BadInput
from trustedpods.provider.acme.settings import AcmeSettings, TlsSection
from trustedpods.provider.config import load_config

DOMAIN = "k1.example.org"
BASE = {"directory": "https://ca.example/dir", "terms_agreed": True}
HTTP = {**BASE, "challenge": "http-01"}
DNS = {**BASE, "challenge": "dns-01", "dns_server": "192.0.2.1:53", "dns_key_file": "/k/zone.key"}
HOOK = {**BASE, "challenge": "dns-01", "hook": ["/usr/bin/hook", "zone"]}


def settings(values: dict, **changes: object) -> AcmeSettings:
    return AcmeSettings.model_validate({**values, **changes})


def test_names_follow_from_the_challenge():
    assert settings(HTTP).names_for(DOMAIN) == (DOMAIN,)
    assert settings(HTTP, names=[f"b.{DOMAIN}", f"a.{DOMAIN}", DOMAIN]).names_for(DOMAIN) == (
        DOMAIN, f"a.{DOMAIN}", f"b.{DOMAIN}",
    )  # fmt: skip
    for values in (DNS, HOOK):
        assert settings(values).names_for(DOMAIN) == (DOMAIN, f"*.{DOMAIN}")
    assert settings(DNS).zone_of(DOMAIN) == DOMAIN
    assert settings(DNS, dns_zone="example.org").zone_of(DOMAIN) == "example.org"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({**HTTP, "terms_agreed": False}, "read the authority's terms"),
        ({**HTTP, "directory": "http://ca.example/dir"}, "directory"),
        ({**HTTP, "contact": ["operator@example.org"]}, "contact"),
        ({**HTTP, "hook": ["/usr/bin/hook"]}, "http-01 takes no"),
        ({**HTTP, "dns_zone": DOMAIN}, "http-01 takes no"),
        ({**BASE, "challenge": "dns-01"}, "either dns_server or hook"),
        ({**DNS, "hook": ["/usr/bin/hook"]}, "either dns_server or hook"),
        ({**DNS, "names": [DOMAIN]}, "leave names out"),
        ({**DNS, "dns_key_file": None}, "open to all"),
        ({**HOOK, "hook": ["hook"]}, "absolute path"),
        ({**HTTP, "email": "x"}, "email"),
    ],
)
def test_what_cannot_work_is_refused(values, told):
    with pytest.raises(ValidationError, match=told):
        AcmeSettings.model_validate(values)


@pytest.mark.parametrize(
    ("values", "file", "binds", "told"),
    [
        (HTTP, "/k/chain.pem", ["*:443"], "leave one out"),
        (HTTP, None, [], "tls_binds"),
        ({**HTTP, "names": ["www.other.example"]}, None, ["*:443"], "not below"),
        ({**DNS, "dns_zone": "other.example"}, None, ["*:443"], "is not in"),
    ],
)
def test_it_must_fit_the_rest_of_the_file(values, file, binds, told):
    section = TlsSection(acme=settings(values))
    with pytest.raises(ValueError, match=told):
        section.check_place(DOMAIN, file, binds)
    TlsSection().check_place(DOMAIN, file, binds)


@pytest.mark.parametrize("server", ["192.0.2.53:53", "[2001:db8::1]:5353", "127.0.0.1:65535"])
def test_a_server_of_dns_is_an_address_and_a_port(server):
    assert settings(DNS, dns_server=server).dns_server == server


@pytest.mark.parametrize(
    "server",
    [
        "ns1.example.org:53", "192.0.2.53", "192.0.2.53:", "192.0.2.53:0", "192.0.2.53:99999", ":53",
        "2001:db8::1:53", "192.0.2.53:5x", "[192.0.2.53:53", "192.0.2.53:\u0665",
    ],
)  # fmt: skip
def test_what_is_none_is_refused(server):
    with pytest.raises(ValueError, match="dns_server"):
        settings(DNS, dns_server=server)


def test_it_is_read_from_the_file(tmp_path):
    text = GOOD.replace("[facade]\n", '[facade]\ntls_binds = ["*:443"]\n')
    acme = 'directory = "https://ca.example/dir", terms_agreed = true, challenge = "http-01"'
    file = tmp_path / "provider.toml"
    file.write_text(f"{text}\n[tls]\nacme = {{ {acme} }}\n")
    config = load_config(file)
    assert config.tls.acme == settings(HTTP)
    file.write_text(f"{GOOD}\n[tls]\nacme = {{ {acme} }}\n")
    with pytest.raises(BadInput, match="tls_binds"):
        load_config(file)
