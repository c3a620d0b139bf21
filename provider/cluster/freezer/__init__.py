# SPDX-License-Identifier: Apache-2.0
"""Replicas that the nodes' agents keep frozen for a while, and where they listen: the door to those agents.

It decides nothing, and keeps nothing: an agent thaws by itself what nobody asks for any more.
"""
