# SPDX-License-Identifier: Apache-2.0
"""Verbs on pods that run: a command in a container of one, with its input and outputs, and the list of all.

Nothing here reads a terminal or writes to one: input and outputs are functions of the caller's.
"""
