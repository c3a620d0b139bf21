# SPDX-License-Identifier: Apache-2.0
"""What each verb of the client does: asks `core` what to do, does it, and returns what came of it.

Nothing here prints, and nothing here parses a command line.
"""
