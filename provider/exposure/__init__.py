# SPDX-License-Identifier: Apache-2.0
"""How each service of a pod is reached: the manifest's `expose` becomes what must be made for it. Pure.

One module for each word of `expose`; `plan` puts them together for a whole pod. What is made, and by which
door, is for others to do: nothing here knows a slot of HAProxy or an object of Kubernetes.
"""
