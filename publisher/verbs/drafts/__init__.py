# SPDX-License-Identifier: Apache-2.0
"""Manifests that are made here rather than written: for images that have none.

What is made is read and checked as any file is; nothing here talks to anybody.
"""
