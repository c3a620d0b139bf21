# SPDX-License-Identifier: Apache-2.0
"""Verbs that stay: serve, activator."""

import logging
import sys
from pathlib import Path

import click

from trustedpods.provider.commands.options import config_option, explained, no_market_option
from trustedpods.provider.commands.output import one_line


@click.command()
@config_option
@no_market_option
@click.option("-v", "--verbose", is_flag=True, help="Log every detail.")
@explained
def serve(config_path: Path, no_market: bool, verbose: bool) -> None:
    """Run the daemon until it is told to stop."""
    import trio

    _log_to_stderr(verbose)
    if no_market:
        from trustedpods.provider.daemon.documents import serve_documents
        from trustedpods.provider.without_market import load_documents_config

        trio.run(serve_documents, load_documents_config(config_path))
        return
    from trustedpods.provider.config import load_config
    from trustedpods.provider.daemon.main import serve as run_daemon

    trio.run(run_daemon, load_config(config_path))


@click.command()
@config_option
@explained
def activator(config_path: Path) -> None:
    """Run the activator: hold requests of sleeping pods until the daemon has woken them."""
    from trustedpods.provider.config import load_config
    from trustedpods.provider.facade.activator.activator import main as run_activator

    config = load_config(config_path)
    facade = config.facade
    options = {
        "--sockets": facade.activator_dir,
        "--slots": facade.pools.http,
        "--h2-slots": facade.pools.h2,
        "--tcp-slots": facade.pools.tcp,
        "--wake-socket": facade.wake_socket,
        "--max-held": facade.max_held,
        "--wake-limit": max(facade.wake_limit_s, config.terms.max_start_s),
    }
    sys.exit(run_activator([str(word) for option in options.items() for word in option]))


class LineFormatter(logging.Formatter):
    """Each message is one line, whatever peers and pods put into it; a trace of ours keeps its lines."""

    def __init__(self, inner: logging.Formatter | None) -> None:
        super().__init__()
        self._inner = inner or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        """The line, and behind it the trace if there is one."""
        quiet = logging.makeLogRecord(vars(record) | {"msg": one_line(record.getMessage()), "args": ()})
        return self._inner.format(quiet)


def _log_to_stderr(verbose: bool) -> None:
    """The service manager keeps the log; tenants' contents are never in it."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    for handler in logging.getLogger().handlers:
        handler.setFormatter(LineFormatter(handler.formatter))
    for chatty in ("httpx", "httpcore", "libp2p", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
