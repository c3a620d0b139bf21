# SPDX-License-Identifier: Apache-2.0
"""Runs alembic's scripts on a connection: its caller's transaction holds all of them, or none."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from trustedpods.provider.store import migrations

_SCRIPTS = Path(next(iter(migrations.__path__)))


def migrate(connection: Connection, revision: str = "head") -> None:
    """Bring the books of *connection* to *revision*."""
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
