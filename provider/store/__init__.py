# SPDX-License-Identifier: Apache-2.0
"""The daemon's books: accepted pods, the ledger, claims and history, in SQLite or PostgreSQL.

`database` opens it (`engines` does what differs between the two); the other modules are functions over one
transaction, run by `Store.read` and `Store.write`. Nothing of a tenant is stored in the clear:
bundles stay sealed as they came, and texts that may quote a manifest are sealed by `vault`.
"""

from trustedpods.provider.store.database import Store, Tx, open_books, open_store
from trustedpods.provider.store.vault import Vault

__all__ = ["Store", "Tx", "Vault", "open_books", "open_store"]
