# SPDX-License-Identifier: Apache-2.0
"""How many replicas a pod has, and when: one state machine, pure, with windows of concurrency beside it.

It knows no cluster and no facade: it takes events and returns commands.
"""
