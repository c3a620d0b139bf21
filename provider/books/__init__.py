# SPDX-License-Identifier: Apache-2.0
"""Address books of networks as they reach running nodes: taken, kept, and seen in their files and ways.

It never reads a network's document, which is sealed to its members: who commands a node brings its book.
"""
