from __future__ import annotations

import pytest

from tests.support.require import missing, required


@pytest.mark.parametrize(
    ("value", "names"),
    [
        pytest.param(None, set(), id="not set requires nothing"),
        pytest.param("", set(), id="empty requires nothing"),
        pytest.param("dovecot", {"dovecot"}, id="one name"),
        pytest.param(" Dovecot, postfix,", {"dovecot", "postfix"}, id="spaces and case are free"),
    ],
)
def test_the_variable_is_a_list(value: str | None, names: set[str]) -> None:
    assert required({} if value is None else {"NORNMAIL_REQUIRE": value}) == names


def test_a_misspelt_server_is_an_error() -> None:
    with pytest.raises(ValueError, match="dovecott"):
        required({"NORNMAIL_REQUIRE": "dovecott"})


def test_a_missing_server_skips() -> None:
    with pytest.raises(pytest.skip.Exception, match="dovecot: it is not installed"):
        missing("dovecot", "it is not installed", {})


def test_a_missing_server_that_is_required_fails() -> None:
    with pytest.raises(pytest.fail.Exception, match="NORNMAIL_REQUIRE names dovecot"):
        missing("dovecot", "it is not installed", {"NORNMAIL_REQUIRE": "dovecot"})
