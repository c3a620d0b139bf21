# SPDX-License-Identifier: Apache-2.0
"""Verbs for whoever sets a provider up: doctor, facade-files, tls-request."""

import sys
from pathlib import Path

import click

from trustedpods.protocol.errors import ExitCode
from trustedpods.provider.commands.options import config_option, explained, no_market_option, output_option
from trustedpods.provider.commands.output import show_rows


@click.command()
@config_option
@no_market_option
@output_option
@explained
def doctor(config_path: Path, no_market: bool, output: str) -> None:
    """Check every part that the daemon needs, and say what is missing."""
    from dataclasses import asdict

    import trio

    from trustedpods.provider.admin.doctor import examine
    from trustedpods.provider.admin.documents_doctor import examine_documents
    from trustedpods.provider.config import load_config
    from trustedpods.provider.without_market import load_documents_config

    if no_market:
        findings = trio.run(examine_documents, load_documents_config(config_path))
    else:
        findings = trio.run(examine, load_config(config_path))
    show_rows([asdict(finding) for finding in findings], output)
    if any(finding.state != "ok" for finding in findings):
        sys.exit(int(ExitCode.NO_CONTEXT))


@click.command("facade-files")
@config_option
@explained
def facade_files(config_path: Path) -> None:
    """Write haproxy.cfg and its error pages beside the facade's map file."""
    from trustedpods.provider.config import load_config
    from trustedpods.provider.facade.haproxy.config import Bind, FacadeConfig, FacadeLimits
    from trustedpods.provider.facade.haproxy.files import install

    config = load_config(config_path)
    section = config.facade
    folder = Path(section.map_file).parent
    made = FacadeConfig(
        binds=tuple(Bind(bind) for bind in section.binds),
        pools=section.pools,
        runtime_socket=Path(section.runtime_socket),
        map_file=Path(section.map_file),
        activator_dir=Path(section.activator_dir),
        pages_dir=folder / "pages",
        tcp_binds=tuple(Bind(bind) for bind in section.tcp_binds),
        tls_binds=tuple(Bind(bind) for bind in section.tls_binds),
        tls_dir=section.tls_dir(config.identity.keys_dir),
        https_suffix=section.https_suffix,
        exporter=Bind(section.exporter) if section.exporter else None,
        limits=FacadeLimits(
            header_s=section.header_s,
            per_source=section.source_connections,
            source_rate=section.source_rate or None,
        ),
    )
    install(made, folder / "haproxy.cfg")
    click.echo(folder / "haproxy.cfg")


@click.command("tls-request")
@config_option
@explained
def tls_request(config_path: Path) -> None:
    """Print a signing request for this boot's TLS key: a public authority answers with `certificate_file`."""
    from trustedpods.provider.config import load_config
    from trustedpods.provider.facade.certificates import provider_names, request
    from trustedpods.provider.keys.boot import BootKeys

    identity = load_config(config_path).identity
    keys = BootKeys.load_or_create(Path(identity.keys_dir))
    click.echo(request(provider_names(identity.domain), keys.tls).decode(), nl=False)
