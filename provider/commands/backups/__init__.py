# SPDX-License-Identifier: Apache-2.0
"""Verbs on backups of the provider itself: options in, one line for each fact out. No daemon is asked."""
