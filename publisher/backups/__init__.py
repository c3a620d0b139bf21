# SPDX-License-Identifier: Apache-2.0
"""Backups of volumes as the publisher keeps them: what they hold, how they are sealed, the door to stores.

Nothing here meets a provider. Who keeps a store reads nothing of a backup, and changes nothing unseen: he
can only take whole backups away. Nothing here gives out bytes that were not checked against their seal.
"""
