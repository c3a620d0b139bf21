# SPDX-License-Identifier: Apache-2.0
"""Verbs inside a pod that runs: a command in one of its containers, with its input and outputs.

Nothing here reads a terminal or writes to one: input and outputs are functions of the caller's.
"""
