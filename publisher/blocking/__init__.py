# SPDX-License-Identifier: Apache-2.0
"""The Python client for programs that do not run under trio: scripts, and notebooks with a loop of their own.

It knows no verb: each is derived from the method of `publisher.client.Client`, and only its waiting is other.
"""
