# SPDX-License-Identifier: Apache-2.0
"""What the command does for the shell that it is typed in: completion, help and its version.

Names are completed from what is kept on this machine alone: a key press asks nobody and waits for nothing.
"""
