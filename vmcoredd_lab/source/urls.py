"""URLs: what is one, and how it is shown without what it keeps secret."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, unquote

from vmcoredd_lab.text import escape

__all__ = ["is_url", "links", "local_path", "protocol", "scrub", "shown"]

_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*"
_URL = re.compile(rf"(?:{_SCHEME}::)*{_SCHEME}://")
_CHAIN = re.compile(rf"::(?={_SCHEME}(?:://|::|$))")  # not the :: of an IPv6 address
_HIDDEN = "***"


def is_url(what: Any) -> bool:
    """Return True for text that begins as a URL does: ``s3://``, ``https://``, ``simplecache::s3://``, ...

    >>> is_url("s3://bucket/vmcore"), is_url("crash/vmcore"), is_url("C:/vmcore")
    (True, False, False)
    """
    return isinstance(what, str) and _URL.match(what) is not None


def protocol(url: str) -> str:
    """Return the protocol that reads the URL: of a chain the first.

    >>> protocol("HTTPS://host/vmcore"), protocol("simplecache::s3://bucket/vmcore")
    ('https', 'simplecache')
    """
    return re.split("://|::", url, maxsplit=1)[0].lower()


def links(url: str) -> list[str]:
    """Return the parts of a chained URL; of any other the URL itself.

    >>> links("zip://vmcore::s3://bucket/crash.zip"), links("http://[::1]/vmcore")
    (['zip://vmcore', 's3://bucket/crash.zip'], ['http://[::1]/vmcore'])
    """
    return _CHAIN.split(url)


def local_path(url: str) -> str | None:
    """Return the path that a file: URL names on this machine; None for every other URL.

    >>> local_path("file:///var/crash/a%20b/vmcore"), local_path("https://host/vmcore")
    ('/var/crash/a b/vmcore', None)
    """
    match = re.match(r"file://(?:localhost)?(/.*)", url, re.IGNORECASE | re.DOTALL)
    return unquote(match[1]) if match else None


def shown(url: str) -> str:
    """Return the URL as it may be shown: user name, password, query and fragment left out.

    >>> shown("https://me:secret@host:8443/crash/vmcore?X-Amz-Signature=1234")
    'https://host:8443/crash/vmcore'
    """
    return escape("::".join(_shown(link) for link in links(url)))


def _shown(link: str) -> str:
    scheme, sep, rest = link.partition("://")
    if not sep:
        return link
    rest = rest[len(_userinfo(rest)) :].split("?", 1)[0]
    if scheme.lower() in ("http", "https"):
        rest = rest.split("#", 1)[0]
    return f"{scheme}://{rest}"


def _userinfo(rest: str) -> str:
    """Return what stands before the host, the @ included; also where a password is not quoted as it should be."""
    authority = rest.partition("/")[0]
    if "@" in authority:
        return authority.rpartition("@")[0] + "@"
    port = authority.rpartition("]")[2].partition(":")[2].partition("?")[0]
    if port and not port.isdecimal() and "@" in rest:  # a password with a slash in it
        return rest.rpartition("@")[0] + "@"
    return ""


def scrub(text: str, url: str) -> str:
    """Return a library's message without what ``url`` keeps secret.

    >>> scrub("403 for https://me:secret@host/a?sig=0123456789", "https://me:secret@host/a?sig=0123456789")
    '403 for https://host/a'
    """
    text = text.replace(url, shown(url))
    for secret in sorted(_secrets(url), key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    text = re.sub(r"(://)[^/\s@'\"]*@", r"\1", text)
    return re.sub(rf"({_SCHEME}://[^\s?'\"]*)\?[^\s'\"]*", r"\1", text)


def _secrets(url: str) -> set[str]:
    found: set[str] = set()
    for link in links(url):
        rest = link.partition("://")[2]
        user = _userinfo(rest)[:-1]
        query = rest.partition("?")[2]
        found |= {user, user.partition(":")[2], query}
        found |= {value for pair in query.split("&") if len(value := pair.partition("=")[2]) >= 8}
    found |= {unquote(secret) for secret in found} | {quote(secret, safe="") for secret in found}
    return {secret for secret in found if len(secret) >= 3}
