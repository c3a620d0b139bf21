# SPDX-License-Identifier: Apache-2.0
"""Container images, read where they lie on this disk, once a registry or a program brought them there.

An image comes from somebody else more often than not, so sizes are bounded before anything is
parsed, a digest is a digest or it is refused, and no name in an archive becomes a path.
"""
