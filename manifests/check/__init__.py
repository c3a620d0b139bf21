# SPDX-License-Identifier: Apache-2.0
"""References inside a manifest: what one part names, another part must have.

Run by the client for its user, and again by the provider, who trusts no client. Nothing here reads a file.
"""
