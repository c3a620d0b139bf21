# SPDX-License-Identifier: Apache-2.0
"""Who may look at a page: whoever opened the link that the command printed, in one browser, once.

Other programs and other users of this machine can connect to the page too, and pages of the web can have
a browser ask for it. So each answer needs a cookie that only the link gives, and each request the name
under which the page was opened (DNS rebinding). Pure.
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

SECRET_BYTES = 32
"""Of the link's word and of the cookie: nobody guesses 256 bits."""

FOLDER_BYTES = 9
"""Of the folder that the page lies in. Browsers show a cookie to every port of a host, but only below its
folder: a server on another port, which does not know the folder, is not shown it."""

LOOPBACK = "127.0.0.1"
"""The only address that the page is served on."""

COOKIE = "trustedpods-page"


def _secret() -> str:
    return secrets.token_urlsafe(SECRET_BYTES)


@dataclass(slots=True)
class PageAccess:
    """The rights to one page at *port*; `opened` once its link was used."""

    port: int
    folder: str = field(default_factory=lambda: "/" + secrets.token_urlsafe(FOLDER_BYTES))
    word: str = field(default_factory=_secret)
    cookie: str = field(default_factory=_secret)
    opened: bool = False

    @property
    def link(self) -> str:
        """What a person opens; it works once."""
        return f"http://{LOOPBACK}:{self.port}{self.folder}/open/{self.word}"

    def named_right(self, hosts: list[str]) -> bool:
        """Whether a request with these Host headers means this page, and no other name that leads here."""
        return hosts in ([f"{LOOPBACK}:{self.port}"], [f"localhost:{self.port}"])

    def may_look(self, cookies: Mapping[str, str]) -> bool:
        """Whether a request with *cookies* is from the browser that opened the link."""
        return hmac.compare_digest(cookies.get(COOKIE, "").encode(), self.cookie.encode())

    def use_link(self, word: str) -> bool:
        """Whether *word* is the link's and was not used before; from now on it is."""
        right = hmac.compare_digest(word.encode(), self.word.encode()) and not self.opened
        self.opened = self.opened or right
        return right

    @property
    def set_cookie(self) -> str:
        """The header that lets a browser in: scripts do not see it, and other sites do not make it sent."""
        return f"{COOKIE}={self.cookie}; Path={self.folder}; HttpOnly; SameSite=Strict"


HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer: nothing from elsewhere is loaded, nothing inline runs, nobody frames it."""
