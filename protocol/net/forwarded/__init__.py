# SPDX-License-Identifier: Apache-2.0
"""TCP connections carried over one conversation, the same at both of its ends.

Which conversation that is, and who may have one, is decided by publisher and provider.
"""
