# SPDX-License-Identifier: Apache-2.0
"""Connections and files that go between this machine and a pod that runs.

What a command does with its terminal and its outputs stands in `verbs/running/exec.py`.
"""
