# SPDX-License-Identifier: Apache-2.0
"""A page in a browser of this machine, as both command lines serve one: the only door to a browser.

`access` says who may look, `guard` holds every request to it, `readings` ask once for all tabs, `rendering`
turns views into HTML that escapes everything, `bars` draws, `server` listens on the loopback address alone.
What a page shows is its owner's: nothing here knows a pod or a provider.
"""
