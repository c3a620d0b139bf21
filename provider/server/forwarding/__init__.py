# SPDX-License-Identifier: Apache-2.0
"""Port-forwards: connections from a publisher's machine to ports that his own pod declares.

Never to anything else: the port is checked here whatever a client did.
"""
