# SPDX-License-Identifier: Apache-2.0
"""What the operator reads of his business: what was earned, and what is offered. It changes nothing."""
