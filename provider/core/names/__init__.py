# SPDX-License-Identifier: Apache-2.0
"""Names of the outside world: what the answers to a pod's questions open, and until when. Pure."""
