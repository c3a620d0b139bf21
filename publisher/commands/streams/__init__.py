# SPDX-License-Identifier: Apache-2.0
"""What verbs do with this machine's terminal, sockets and files while a pod's bytes come and go.

Imported by a verb that runs, never by its help.
"""
