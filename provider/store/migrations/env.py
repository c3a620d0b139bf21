# SPDX-License-Identifier: Apache-2.0
"""Runs the migrations on the connection that `store.database` hands over."""

from alembic import context

from trustedpods.provider.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
