# SPDX-License-Identifier: Apache-2.0
"""Verbs on networks of pods: what their leases and copies are, and what a person does when they are not well.

They ask clusters only through `publisher/networks`.
"""
