# SPDX-License-Identifier: Apache-2.0
"""Alembic's scripts: how an older store becomes a newer one, run at every start."""
