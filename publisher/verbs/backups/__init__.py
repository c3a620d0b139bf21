# SPDX-License-Identifier: Apache-2.0
"""Verbs on backups beside making and restoring one: where they are kept, and schedules that `watch` follows.

What may be forgotten by a place is not forgotten here: the newest backup that this machine knows of.
"""
