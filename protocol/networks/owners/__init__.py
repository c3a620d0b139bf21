# SPDX-License-Identifier: Apache-2.0
"""What owners of different networks hand each other: signed exports of their nodes, and invitations. Pure.

It never decides what of it is taken: the client's core does.
"""
