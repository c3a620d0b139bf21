# SPDX-License-Identifier: Apache-2.0
"""What a service says of a way in that only one word of its `expose` has.

Named as in the Kubernetes object that it becomes; whether it goes together is for `manifests/check` to say.
"""
