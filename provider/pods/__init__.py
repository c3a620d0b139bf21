# SPDX-License-Identifier: Apache-2.0
"""What the daemon knows of each pod: its record, its sealed bundle opened, and the progress it reports.

Nothing here acts on cluster, facade or chain.
"""
