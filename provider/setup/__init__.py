# SPDX-License-Identifier: Apache-2.0
"""A provider's first hour: what is found and what is answered become files, a registry row and steps.

Nothing here deploys a pod, spends a coin, or holds the owner's key: the owner signs elsewhere.
"""
