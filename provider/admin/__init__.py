# SPDX-License-Identifier: Apache-2.0
"""The operator's side of the running daemon: its socket, its verbs, the doctor, the registry row's owner.

Nothing here serves a publisher, and no verb does what a publisher's signature is needed for.
"""
