# SPDX-License-Identifier: Apache-2.0
"""Verbs of a pod over all nodes of a network: addresses, logs, money. Each asks the pods' own verbs.

Only pods of the asker's own key are asked about; no lease is needed, and no document is written.
"""
