# SPDX-License-Identifier: Apache-2.0
"""The page of `trustedpods ui`: a market and one's pods in a browser of this machine.

It shows what `Client` returns and changes nothing. `views` turn results into texts, templates into HTML.
How a page is served and who may look is `trustedpods.protocol.local_page`.
"""
