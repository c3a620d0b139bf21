# SPDX-License-Identifier: Apache-2.0
"""`follow`: lines of all replicas of a pod as they come, to whoever may command it."""
