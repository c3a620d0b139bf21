# SPDX-License-Identifier: Apache-2.0
"""What an image is, byte by byte, for whoever must not trust it: descriptors, layers, sizes, what it runs.

Client and provider read images by the same rules, so that what a deploy was told to cost is what the
provider finds, and what one takes the other takes. Pure: bytes in, values or `BadInput` out.
"""
