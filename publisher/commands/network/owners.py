# SPDX-License-Identifier: Apache-2.0
"""`network export`, `import`, `invite`, `join`, `accept` and `leave`: networks of other owners."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trustedpods.publisher.commands.network.network import cluster_option, known_clusters
from trustedpods.publisher.commands.networks import of_network, wait_option
from trustedpods.publisher.commands.options import Common, Run, common, wait_seconds

if TYPE_CHECKING:
    from trustedpods.publisher.keyfile import Key
    from trustedpods.publisher.results.networks import ExportResult, LinkResult
    from trustedpods.publisher.verbs.networks.files import NetworkFile
    from trustedpods.publisher.verbs.networks.owners.linking import LinkOptions
    from trustedpods.publisher.verbs.networks.places import NetworkPlace

DOCUMENT = click.Path(dir_okay=False, allow_dash=True, path_type=Path)
NETWORK_FILE = click.Path(dir_okay=False, path_type=Path)

_as_option = click.option("--as", "alias", metavar="ALIAS", help="How this owner is called here.")
_with_option = click.option(
    "--with", "carried", metavar="NAME", multiple=True, help="A shared file that goes along; no secret."
)


@click.command(
    "export",
    epilog="""\b
Examples:
  trustedpods network export shop.yaml > shop.export
  trustedpods network export shop.yaml --for acme --with genesis.json > answer
""",
)
@click.argument("file", type=NETWORK_FILE)
@click.option("--for", "alias", metavar="ALIAS", help="For this owner alone; after `join`, it is the answer.")
@_with_option
@cluster_option
@common
def export(
    options: Common, file: Path, alias: str | None, carried: tuple[str, ...], clusters: tuple[str, ...]
) -> None:
    """Print the nodes of FILE's network, signed, for another owner: names, addresses, identities, hashes.

    Refuses, by name, what no provider has said yet. With -o json all of it as fields.
    """
    run = Run(options)

    async def work() -> "ExportResult":
        key, market = run.key(), run.market()
        read = _read(file, key)
        known = known_clusters(clusters)
        from trustedpods.publisher.market.market import open_account
        from trustedpods.publisher.verbs.networks.owners.exporting import export as make

        async with open_account(market, key) as account:
            return await make(account, read, known, alias, carried, run.journal)

    run.finish(work, lambda result: [result.document])


@click.command(
    "import",
    epilog="""\b
Examples:
  trustedpods network import shop acme.export --as acme
  cat acme.export | trustedpods network import shop -
""",
)
@_as_option
@wait_option
@of_network
@click.argument("document", type=DOCUMENT)
def import_(
    options: Common, place: Callable[[], "NetworkPlace"], document: Path, alias: str | None, wait: str
) -> None:
    """Take another owner's export into the network NAME: his nodes are ALIAS-NODE here.

    A later one replaces an earlier one; the next `network apply`, or `watch`, tells your nodes.
    """
    run = Run(options)

    async def work() -> "LinkResult":
        from trustedpods.publisher.verbs.networks.owners.texts import export_of

        given = export_of(_bytes(document), str(document))
        found, said = place(), _options(alias, wait)
        opening = run.account()
        from trustedpods.publisher.verbs.networks.owners.linking import import_export

        async with opening as account:
            return await import_export(account, found, given, said, run.journal)

    run.finish(work, link_lines)


@click.command(
    "invite",
    epilog="""\b
Example:
  trustedpods network invite shop.yaml --for 0x3C44… --as acme --with genesis.json > acme.invitation
""",
)
@click.argument("file", type=NETWORK_FILE)
@click.option("--for", "guest", metavar="ADDRESS", required=True, help="The other owner's address.")
@click.option("--expires", default="7d", metavar="DURATION", show_default=True, help="Until the answer.")
@_as_option
@_with_option
@wait_option
@cluster_option
@common
def invite(
    options: Common,
    file: Path,
    guest: str,
    expires: str,
    alias: str | None,
    carried: tuple[str, ...],
    wait: str,
    clusters: tuple[str, ...],
) -> None:
    """Print an invitation into FILE's network for one other owner. He keeps his own nodes, and you yours."""
    run = Run(options)

    async def work() -> "LinkResult":
        from trustedpods.protocol.ids import parse_address
        from trustedpods.publisher.core.money import parse_duration

        who, seconds = parse_address(guest), parse_duration(expires, "--expires")
        key, market, said = run.key(), run.market(), _options(alias, wait)
        read = _read(file, key)
        place = _place_of(read, clusters)
        from trustedpods.publisher.market.market import open_account
        from trustedpods.publisher.verbs.networks.owners.linking import invite as make

        async with open_account(market, key) as account:
            return await make(account, place, read, who, seconds, carried, said, run.journal)

    run.finish(work, lambda result: [result.document])


@click.command(
    "join",
    epilog="""\b
Examples:
  trustedpods network join acme.invitation shop.yaml --as acme --cluster k1=0x7099…/1
  trustedpods network join acme.invitation --files genesis --as acme
""",
)
@click.argument("invitation", type=DOCUMENT)
@click.argument("file", type=NETWORK_FILE, required=False)
@click.option("--files", "folder", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
              help="Write files here that came along.")  # fmt: skip
@_as_option
@wait_option
@cluster_option
@common
def join(
    options: Common,
    invitation: Path,
    file: Path | None,
    folder: Path | None,
    alias: str | None,
    wait: str,
    clusters: tuple[str, ...],
) -> None:
    """Take an invitation into your own network: FILE's, or one of the same name, begun where there is none.

    Another genesis in FILE is refused before anybody is asked. Then: `network apply FILE`, and
    `network export FILE --for ALIAS` prints the answer.
    """
    run = Run(options)

    async def work() -> "LinkResult":
        from trustedpods.publisher.verbs.networks.owners.texts import invitation_of

        given = invitation_of(_bytes(invitation), str(invitation))
        key, market, said = run.key(), run.market(), _options(alias, wait)
        read = None if file is None else _read(file, key)
        from trustedpods.publisher.commands.network.contexts import mapped
        from trustedpods.publisher.market.market import open_account
        from trustedpods.publisher.verbs.networks.owners.linking import join as take
        from trustedpods.publisher.verbs.networks.places import parse_place

        name = given.export.name if read is None else str(read.network)
        place = parse_place(name, clusters or mapped(), of_context=not clusters)
        async with open_account(market, key) as account:
            return await take(account, place, given, read, folder, said, run.journal)

    run.finish(work, link_lines)


@click.command(
    "accept",
    epilog="""\b
Example:
  trustedpods network accept answer shop.yaml > accepted
""",
)
@click.argument("answer", type=DOCUMENT)
@click.argument("file", type=NETWORK_FILE)
@wait_option
@cluster_option
@common
def accept(options: Common, answer: Path, file: Path, wait: str, clusters: tuple[str, ...]) -> None:
    """Let the guest in who answered your invitation into FILE's network, and print the word for him.

    He takes it by `network import`. The next `network apply`, or `watch`, opens your nodes to his.
    """
    run = Run(options)

    async def work() -> "LinkResult":
        from trustedpods.publisher.verbs.networks.owners.texts import export_of

        given = export_of(_bytes(answer), str(answer))
        key, market, said = run.key(), run.market(), _options(None, wait)
        read = _read(file, key)
        place = _place_of(read, clusters)
        from trustedpods.publisher.market.market import open_account
        from trustedpods.publisher.verbs.networks.owners.linking import accept as let_in

        async with open_account(market, key) as account:
            return await let_in(account, place, read, given, said, run.journal)

    run.finish(work, lambda result: [result.document])


@click.command(
    "leave",
    epilog="""\b
Example:
  trustedpods network leave shop acme > goodbye
""",
)
@wait_option
@of_network
@click.argument("alias")
def leave(options: Common, place: Callable[[], "NetworkPlace"], alias: str, wait: str) -> None:
    """Close the link of the network NAME to the owner ALIAS, and print the word that tells him.

    The next `network apply`, or `watch`, closes your nodes to his. He takes the word by `network import`.
    """
    run = Run(options)

    async def work() -> "LinkResult":
        found, said, opening = place(), _options(None, wait), run.account()
        from trustedpods.publisher.verbs.networks.owners.linking import leave as close

        async with opening as account:
            return await close(account, found, alias, said, run.journal)

    run.finish(work, lambda result: [result.document])


def link_lines(result: "LinkResult") -> list[str]:
    """A link in lines: how far it is, and what it brought and took."""
    link = result.link
    lines = [f"{result.alias} ({link.owner}): {link.state}" + ("" if result.changed else ", as before")]
    lines += [f"{name} at {', '.join(link.nodes.get(name, ()))}" for name in result.came]
    lines += [f"{name} is not there any more" for name in result.gone]
    return [*lines, *(f"{path} came along" for path in result.files)]


def _options(alias: str | None, wait: str) -> "LinkOptions":
    import re

    from trustedpods.protocol.errors import BadInput
    from trustedpods.publisher.verbs.networks.owners.linking import LinkOptions

    if alias is not None and not re.fullmatch("[a-z][a-z0-9]{0,15}", alias):
        raise BadInput(
            f"not an alias: {alias[:40]!r}", where="--as", hint="a letter, then letters and digits, 16"
        )
    return LinkOptions(alias, wait_seconds(wait))


def _read(file: Path, key: "Key") -> "NetworkFile":
    from trustedpods.publisher.context import cache_dir
    from trustedpods.publisher.verbs.networks.files import read_network

    return read_network(file, cache_dir(), key.address)


def _place_of(file: "NetworkFile", clusters: tuple[str, ...]) -> "NetworkPlace":
    from trustedpods.publisher.verbs.networks.places import NetworkPlace

    return NetworkPlace(file.network.founder, file.network.name, known_clusters(clusters))


def _bytes(document: Path) -> bytes:
    """What a file holds, or standard input for `-`, and no more than any document is."""
    from trustedpods.protocol.errors import BadInput
    from trustedpods.publisher.verbs.networks.owners.texts import MAX_TEXT_BYTES

    if str(document) == "-":
        return sys.stdin.buffer.read(MAX_TEXT_BYTES + 1)
    try:
        with document.open("rb") as opened:
            return opened.read(MAX_TEXT_BYTES + 1)
    except OSError as error:
        raise BadInput(f"cannot read {document}: {error.strerror}", where=str(document)) from None
