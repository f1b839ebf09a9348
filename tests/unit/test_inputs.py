"""Urls and images that come with a request."""

from __future__ import annotations

import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videoconductor import inputs

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 32
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 32
WEBP = b"RIFF\x20\0\0\0WEBP" + b"\0" * 32


def data_url(content, kind="image/png"):
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize(
    "url",
    [
        "https://images.example.com/a.png?x=1#y",
        "https://EXAMPLE.com/",
        "https://example.com:8443/a",
        "https://example.com./a",
        "https://xn--bcher-kva.example/a",
        "https://my_bucket.s3.amazonaws.com/a%20b.png",
        "https://8.8.8.8/a",
        "https://[2606:4700:4700::1111]/a",
        "HTTPS://example.com/a",
    ],
)
def test_a_public_https_url_passes_unchanged(url):
    assert inputs.public_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a",
        "https:///a",
        "https://",
        "//example.com/a",
        "/a",
        "javascript:alert(1)",
        "https://example.com@evil.com/",
        "https://a:b@example.com/",
        "https://@example.com/",
        "https://example.com\\@evil.com/",
        "https://exa mple.com/",
        "https://example.com/\n",
        "https://example.com/\x00",
        "https://exämple.com/",
        "https://example.com:99999/",
        "https://example.com:0/",
        "https://example.com:x/",
        "https://example.com%2eevil.com/",
        "https://[::1",
        "https://[v1.a:b]/",
        "https://localhost/",
        "https://LOCALHOST./",
        "https://a.localhost/",
        "https://printer.local/",
        "https://metadata.google.internal/",
        "https://router.lan/",
        "https://intranet/",
        "https://-a.example.com/",
        "https://a..example.com/",
        f"https://{'a' * 64}.example.com/",
        "https://example.123/",
    ],
)
def test_other_urls_are_refused_in_words(url):
    with pytest.raises(ValueError, match=r"must|is not a well-formed"):
        inputs.public_url(url)


PRIVATE = [
    "127.0.0.1",
    "127.1.2.3",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001::1",
    "2001:db8::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "100::1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_of_the_open_internet_is_not_public(address):
    assert not inputs.is_public_address(address)
    assert not inputs.is_public_host(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450::1"])
def test_an_address_of_the_open_internet_is_public(address):
    assert inputs.is_public_address(address)
    assert inputs.is_public_host(address)


@pytest.mark.parametrize(
    "text", ["", "example.com", "1.2.3", "1.2.3.4.5", "2606:4700::1%eth0", "x"]
)
def test_what_is_no_plain_address_is_not_a_public_one(text):
    assert not inputs.is_public_address(text)


@pytest.mark.parametrize(
    "host",
    ["2130706433", "0x7f000001", "0x7f.1", "017700000001", "127.1", "1.2.3", "a.0x1", "127.0.0.1."],
)
def test_a_numeric_host_is_not_public(host):
    assert not inputs.is_public_host(host)


def test_a_trusted_origin_passes_in_any_spelling_of_its_own_port():
    trusted = ("http://localhost:9000", "http://127.0.0.1")
    assert inputs.public_url("http://LOCALHOST:9000/a", trusted)
    assert inputs.public_url("http://127.0.0.1:80/a", trusted)
    for url in ("http://localhost:9001/a", "https://localhost:9000/a", "http://localhost/a"):
        with pytest.raises(ValueError, match="must be"):
            inputs.public_url(url, trusted)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Vidgen.X.AI/a?b#c", "https://vidgen.x.ai"),
        ("https://vidgen.x.ai:443/a", "https://vidgen.x.ai"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080"),
        ("https://[2606:4700::1]:8443/", "https://[2606:4700::1]:8443"),
        ("https://vidgen.x.ai./", "https://vidgen.x.ai."),
    ],
)
def test_an_origin_is_scheme_host_and_port(url, origin):
    assert inputs.origin(url) == origin


@pytest.mark.parametrize(
    "url", ["https://vidgen.x.ai%2eevil.com/", "https://vidgen.x.ai%40evil.com/", "https://a:0/"]
)
def test_a_host_that_two_readers_may_read_differently_has_no_origin(url):
    with pytest.raises(ValueError, match="not a well-formed"):
        inputs.origin(url)


def test_a_url_may_be_long_but_not_too_long():
    base = "https://example.com/"
    assert inputs.public_url(base + "a" * (2048 - len(base)))
    with pytest.raises(ValueError, match="longer than 2048"):
        inputs.public_url(base + "a" * (2049 - len(base)))
    with pytest.raises(ValueError, match="longer than 30"):
        inputs.public_url(base + "a" * 20, max_characters=30)
    assert inputs.public_url(base + "a" * 5000, max_characters=8192)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (PNG, "image/png"),
        (JPEG, "image/jpeg"),
        (WEBP, "image/webp"),
        (b"", None),
        (b"GIF89a", None),
        (b"<svg/>", None),
        (b"\0\0\0\x18ftypmp42", None),
        (b"RIFF\0\0\0\0WAVE", None),
        (PNG[1:], None),
    ],
)
def test_an_image_is_known_by_its_first_bytes(content, kind):
    assert inputs.image_type(content) == kind


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.com/b", "https://a.com/b"),
        ("https://a.com/b?sig=x", "https://a.com/b?…"),
        ("https://a.com/b#x", "https://a.com/b"),
        ("https://u:p@a.com/b", "https://***@a.com/b"),
        ("nonsense", "nonsense"),
        ("data:image/png;base64," + "A" * 99, "data:image/png;base64," + "A" * 18 + "…"),
    ],
)
def test_a_url_is_shown_without_what_opens_it(url, shown):
    assert inputs.shown(url) == shown


@given(text=st.text())
def test_any_text_is_a_url_or_a_value_error(text):
    for read in (inputs.public_url, inputs.origin, inputs.inline_image):
        with suppress(ValueError):
            read(text)
    inputs.shown(text)
    inputs.is_public_host(text)
    inputs.is_public_address(text)


@pytest.mark.parametrize(
    ("kind", "content"), [("image/png", PNG), ("image/jpeg", JPEG), ("image/webp", WEBP)]
)
def test_an_inline_image_is_read_with_its_type(kind, content):
    assert inputs.inline_image(data_url(content, kind)) == (kind, content)


@pytest.mark.parametrize(
    "url",
    [
        "data:",
        "data:image/png;base64,",
        "data:image/png;base64,***",
        "data:image/png;base64,QUJ",
        "data:image/png;charset=utf-8;base64,QUJD",
        "data:image/png,abc",
        data_url(PNG, "image/gif"),
        data_url(PNG, "text/html"),
        data_url(PNG, "image/jpeg"),
        data_url(b"<svg/>", "image/png"),
        data_url(PNG) + "\n",
        data_url(PNG).replace("data:", "DATA:"),
    ],
)
def test_an_inline_image_that_is_none_is_refused(url):
    with pytest.raises(ValueError, match=r"is not|must be|does not hold"):
        inputs.inline_image(url)


@pytest.mark.parametrize(("extra", "fits"), [(0, True), (1, False), (1000, False)])
def test_an_inline_image_has_a_largest_size(extra, fits):
    url = data_url(PNG + b"\0" * (inputs.MAX_INLINE_IMAGE_BYTES - len(PNG) + extra))
    if fits:
        assert len(inputs.inline_image(url)[1]) == inputs.MAX_INLINE_IMAGE_BYTES
    else:
        with pytest.raises(ValueError, match="is larger"):
            inputs.inline_image(url)
