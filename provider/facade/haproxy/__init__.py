# SPDX-License-Identifier: Apache-2.0
"""HAProxy: its configuration as values and as text, its files, maps and servers, and its runtime socket.

Nobody else in the house talks to HAProxy.
"""
