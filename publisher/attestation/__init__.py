# SPDX-License-Identifier: Apache-2.0
"""Evidence against a policy, and which policy holds for a pod.

No network is needed here, and nothing is accepted that no policy names.
"""
