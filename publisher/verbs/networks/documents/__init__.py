# SPDX-License-Identifier: Apache-2.0
"""Verbs on what stands in a network's document: its history, its schema, backups, members and lost clusters.

They write only through `publisher/networks/recording`, so each of them stands in the history itself.
"""
