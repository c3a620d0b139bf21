# SPDX-License-Identifier: Apache-2.0
"""Container images on the publisher's disk, read in place: nothing is unpacked, no registry is asked.

An image comes from somebody else more often than not, so sizes are bounded before anything is
parsed, a digest is a digest or it is refused, and no name in an archive becomes a path.
"""
