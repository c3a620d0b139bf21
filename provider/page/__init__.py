# SPDX-License-Identifier: Apache-2.0
"""The page of `trustedpods-provider page`: what the operator's daemon earns, does and lacks, in a browser.

It asks the running daemon over the admin socket and changes nothing: what the socket does not tell, the page
cannot show. Views turn answers into texts, templates into HTML. How a page is served and who may look is
`trustedpods.protocol.local_page`.
"""
