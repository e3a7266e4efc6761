"""Which domains belong together, as far as can be said without a list of public suffixes."""

from __future__ import annotations

import pytest

from nornmail.message.authentication import domain_of, is_aligned
from tests.support.table import table


@table(
    ("address", "domain"),
    [
        pytest.param("a@Example.COM.", "example.com", id="capitals and a dot"),
        pytest.param("a@b@example.com", "example.com", id="the last at counts"),
        pytest.param("a@b\u00fccher.example", "xn--bcher-kva.example", id="an umlaut"),
        pytest.param("a@fa\u00df.de", "xn--fa-hia.de", id="a sharp s is not ss"),
        pytest.param("a@xn--bcher-kva.example", "xn--bcher-kva.example", id="an umlaut as ASCII"),
        pytest.param("a@\uff45xample.com", "", id="a wide letter"),
        pytest.param("a@example\u3002com", "", id="an ideographic dot"),
        pytest.param("a@com", "", id="one label"),
        pytest.param("a@", "", id="nothing"),
        pytest.param("a@exam ple.com", "", id="a blank"),
        pytest.param("a@example..com", "", id="an empty label"),
        pytest.param("a@-example.com", "", id="a hyphen in front"),
        pytest.param("a@[192.0.2.1]", "", id="an address literal"),
        pytest.param("a@" + "b." * 200 + "com", "", id="a domain that is too long"),
    ],
)
def test_the_domain_of_an_address(address: str, domain: str) -> None:
    assert domain_of(address) == domain


@table(
    ("one", "two", "expected"),
    [
        pytest.param("example.com", "example.com", True, id="equal"),
        pytest.param("mail.example.com", "example.com", True, id="below"),
        pytest.param("example.com", "news.example.com", True, id="above"),
        pytest.param("mail.example.com", "news.example.com", False, id="side by side"),
        pytest.param("badexample.com", "example.com", False, id="ends alike"),
        pytest.param("", "example.com", False, id="nothing"),
        pytest.param("", "", False, id="nothing twice"),
    ],
)
def test_alignment(one: str, two: str, expected: bool) -> None:
    assert is_aligned(one, two) is expected
    assert is_aligned(one, two, strict=True) is (one == two != "")
