# SPDX-License-Identifier: Apache-2.0
"""Runs alembic's scripts on a connection: its caller's transaction holds all of them, or none.

A schema is called by the number of the script that made it, `0017`.
"""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from trustedpods.provider.store import migrations
from trustedpods.provider.store.failures import NewerSchema

_SCRIPTS = Path(next(iter(migrations.__path__)))


def migrate(connection: Connection, revision: str = "head") -> None:
    """Bring the books of *connection* to *revision*. NewerSchema where they have one that is not known."""
    check(schema_of(connection))
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def schema_of(connection: Connection) -> str | None:
    """The schema that the books have; None where they are new."""
    return MigrationContext.configure(connection).get_current_revision()


def newest_schema() -> str:
    """The schema that this version of the daemon works with."""
    newest = _scripts().get_current_head()
    assert newest is not None
    return newest


def check(schema: str | None) -> None:
    """NewerSchema unless there is a way from *schema* to the newest one."""
    known = {script.revision for script in _scripts().walk_revisions()}
    if schema is not None and schema not in known:
        raise NewerSchema(schema, newest_schema())


@cache
def _scripts() -> ScriptDirectory:
    """Read once, as each reading takes milliseconds of a start."""
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config
