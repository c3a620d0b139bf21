# SPDX-License-Identifier: Apache-2.0
"""Some of the operator's verbs from outside the machine: by a list, signed, over the daemon's own port."""
