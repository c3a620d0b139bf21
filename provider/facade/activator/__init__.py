# SPDX-License-Identifier: Apache-2.0
"""The activator's process: holds requests to sleeping pods, has them woken, and splices both ways.

It parses nothing that a client or a pod says, and knows no manifest.
"""
