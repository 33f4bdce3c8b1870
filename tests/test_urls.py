"""URLs: what is one, and how it is shown."""

from __future__ import annotations

import pytest

from vmcoredd_lab.source.urls import is_url, scrub, shown


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("s3://bucket/vmcore", True),
        ("HTTPS://host/vmcore", True),
        ("simplecache::s3://bucket/vmcore", True),
        ("vmcore", False),
        ("/var/crash/127.0.0.1:2024/vmcore", False),
        ("C:/crash/vmcore", False),
        ("dir/http://vmcore", False),
    ],
)
def test_what_is_a_url(text: str, url: bool) -> None:
    assert is_url(text) is url


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://host/crash/vmcore", "https://host/crash/vmcore"),
        ("https://me:hunter2@host:8443/vmcore", "https://host:8443/vmcore"),
        ("https://hunter2@host/vmcore", "https://host/vmcore"),
        ("https://me:hun/ter2@host/vmcore", "https://host/vmcore"),
        ("https://me:hun?ter2@host/vmcore", "https://host/vmcore"),
        ("https://me:hun@ter2@host/vmcore", "https://host/vmcore"),
        ("https://host/vmcore?sig=c0ffee", "https://host/vmcore"),
        ("https://host?sig=c0ffee", "https://host"),
        ("https://host/vmcore#c0ffee", "https://host/vmcore"),
        ("https://host/a@b/vmcore", "https://host/a@b/vmcore"),
        ("http://[::1]:8000/vmcore", "http://[::1]:8000/vmcore"),
        ("http://me:hunter2@[::1]:8000/vmcore", "http://[::1]:8000/vmcore"),
        ("sftp://me:hunter2@host/vmcore", "sftp://host/vmcore"),
        ("simplecache::https://me:hunter2@host/vmcore?c0ffee", "simplecache::https://host/vmcore"),
        ("zip://a::https://hunter2@host/b.zip", "zip://a::https://host/b.zip"),
        ("https://host/\x1b[2J", r"https://host/\x1b[2J"),
    ],
)
def test_a_url_is_shown_without_secrets(url: str, text: str) -> None:
    assert shown(url) == text


def test_a_message_of_a_library_is_shown_without_secrets() -> None:
    url = "https://me:hun%20ter@host/vmcore?sig=c0ffeec0ffee&x=1"
    message = f"GET {url} as 'me' with 'hun ter' failed: sig c0ffeec0ffee, see https://you:pw@other/x?y=z"
    assert scrub(message, url) == "GET https://host/vmcore as 'me' with '***' failed: sig ***, see https://other/x"
