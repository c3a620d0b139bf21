# SPDX-License-Identifier: Apache-2.0
"""What of the operator's stands in the books: whom he lets in, and what his key has under way on the chain.

Both hold for the provider and not for one node: the daemon that takes over finds them. Nothing of a
tenant is here, and no key.
"""
