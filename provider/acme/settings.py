# SPDX-License-Identifier: Apache-2.0
"""The table `[tls]` of `provider.toml`: where certificates for the provider's own names come from."""

from ipaddress import ip_address
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

_HOST = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
_PATH = r"^/"
_HIGHEST_PORT = 65535


def _address_and_port(text: str) -> str:
    """A name would be asked for of the very DNS that is to be changed."""
    host, _, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        found = ip_address(bare)
    except ValueError:
        raise ValueError(f"{host!r} is no address: write ADDRESS:PORT, as 192.0.2.53:53") from None
    if found.version == 6 and bare == host:
        raise ValueError(f"write an address of IPv6 in brackets: [{host}]:{port}")
    if not (port.isascii() and port.isdigit()) or not 0 < int(port[:6]) <= _HIGHEST_PORT:
        raise ValueError(f"{port!r} is no port")
    return text


ProviderName = Annotated[str, Field(pattern=_HOST, max_length=200)]
FilePath = Annotated[str, Field(pattern=_PATH, max_length=4096)]

MOST_NAMES = 20
"""Beside the domain. Let's Encrypt takes a hundred; each is a proof that can fail for all."""

MOST_HOOK_S = 3600
"""Slow zones of DNS need half an hour."""


class AcmeSettings(BaseModel):
    """An authority and how names are proven to it.

    `http-01` is for the domain and `names` below it, `dns-01` for the domain and its wildcard, so for all
    pods. `dns-01` needs `dns_server` (updates by RFC 2136, signed with the key in `dns_key_file`, as
    `tsig-keygen` writes it; `dns_zone` is the domain where it is left out) or `hook`, a program and its
    arguments, which ends within `hook_limit_s` seconds. `trusted_root` is for an authority of the operator's
    own, whose TLS no system trusts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    directory: Annotated[str, Field(pattern=r"^https://[^\s]{1,500}$")]
    contact: Annotated[
        list[Annotated[str, Field(pattern=r"^mailto:[^\s@]+@[^\s@]+$")]], Field(max_length=4)
    ] = []
    terms_agreed: bool
    challenge: Literal["http-01", "dns-01"]
    names: Annotated[list[ProviderName], Field(max_length=MOST_NAMES)] = []
    trusted_root: FilePath | None = None
    dns_server: Annotated[str, Field(max_length=60), AfterValidator(_address_and_port)] | None = None
    dns_zone: ProviderName | None = None
    dns_key_file: FilePath | None = None
    hook: Annotated[list[str], Field(max_length=16)] = []
    hook_limit_s: Annotated[int, Field(ge=1, le=MOST_HOOK_S)] = 300

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if not self.terms_agreed:
            raise ValueError("read the authority's terms; terms_agreed = true says that you agree")
        ways = (self.dns_server is not None) + bool(self.hook)
        if self.challenge == "http-01" and (ways or self.dns_zone or self.dns_key_file):
            raise ValueError("http-01 takes no dns_server, dns_zone, dns_key_file or hook")
        if self.challenge == "dns-01" and ways != 1:
            raise ValueError("dns-01 needs either dns_server or hook")
        if self.challenge == "dns-01" and self.names:
            raise ValueError("dns-01 is for the domain and its wildcard: leave names out")
        if self.hook and not self.hook[0].startswith("/"):
            raise ValueError("write the hook's program as an absolute path")
        if self.dns_server is not None and self.dns_key_file is None:
            raise ValueError("dns_server needs dns_key_file: an update that nobody signed is open to all")
        return self

    def names_for(self, domain: str) -> tuple[str, ...]:
        """All names that the certificate is for; the first is the domain."""
        if self.challenge == "dns-01":
            return domain, f"*.{domain}"
        return (domain, *sorted(set(self.names) - {domain}))

    def zone_of(self, domain: str) -> str:
        """The zone in which challenges are written."""
        return self.dns_zone or domain


class TlsSection(BaseModel):
    """Where the certificate of the provider's own names comes from; without `acme` as `[facade]` says."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    acme: AcmeSettings | None = None

    def check_place(self, domain: str, certificate_file: str | None, tls_binds: list[str]) -> None:
        """ValueError where it does not fit to the rest of the file."""
        if self.acme is None:
            return
        if certificate_file is not None:
            raise ValueError("tls.acme and facade.certificate_file both bring a certificate: leave one out")
        if not tls_binds:
            raise ValueError("tls.acme needs facade.tls_binds: without them no https is served")
        for name in self.acme.names:
            if name != domain and not name.endswith(f".{domain}"):
                raise ValueError(f"tls.acme.names: {name} is not below {domain}")
        zone = self.acme.zone_of(domain)
        if domain != zone and not domain.endswith(f".{zone}"):
            raise ValueError(f"tls.acme.dns_zone: {domain} is not in {zone}")
