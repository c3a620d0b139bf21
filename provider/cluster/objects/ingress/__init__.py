# SPDX-License-Identifier: Apache-2.0
"""What `expose: ingress` becomes beside a Service: an Ingress, and the way in for its controller.

Pure. The daemon only writes these objects: it never carries, nor counts, what a controller passes on.
"""
