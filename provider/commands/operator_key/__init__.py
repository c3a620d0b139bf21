# SPDX-License-Identifier: Apache-2.0
"""The verb on the key that pays gas: the running daemon is asked, and a change goes on from here."""
