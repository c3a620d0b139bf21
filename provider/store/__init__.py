# SPDX-License-Identifier: Apache-2.0
"""The daemon's books: accepted pods, the ledger, claims and history, in one SQLite file.

`database` opens it (lock, migrations, durability); the other modules are functions over one
transaction, run by `Store.read` and `Store.write`. Nothing of a tenant is stored in the clear:
bundles stay sealed as they came, and texts that may quote a manifest are sealed by `vault`.
"""

from trustedpods.provider.store.database import Store, Tx, open_store
from trustedpods.provider.store.vault import Vault

__all__ = ["Store", "Tx", "Vault", "open_store"]
