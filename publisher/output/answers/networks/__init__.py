# SPDX-License-Identifier: Apache-2.0
"""Answers of the verbs on networks of pods, as types: nodes, what clusters keep, and links with other owners.

Types alone, as in the room above: nothing here asks, decides or prints.
"""
