# SPDX-License-Identifier: Apache-2.0
"""What the client keeps between runs, in small files that appear whole or not at all.

Nothing in here is needed to find, use or end a pod: the key and the name are enough.
"""
