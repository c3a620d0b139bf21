# SPDX-License-Identifier: Apache-2.0
"""Logs that are followed, without I/O: lines with their places, and several logs in the order of time."""
