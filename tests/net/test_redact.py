"""The border: secrets are cut out, and foreign exceptions become ours."""

from __future__ import annotations

import ssl

import pytest

from nornmail.errors import ConnectionLost, ProtocolError, Throttled
from nornmail.net.redact import MASK, MAX_TEXT, Redactor, error_text, map_exceptions
from tests.support.table import table


@table(
    ("secrets", "text", "shown"),
    [
        pytest.param(["hunter22"], "no hunter22 here", f"no {MASK} here", id="a secret"),
        pytest.param(["hunter22", "hunter22 and more"], "hunter22 and more", MASK,
                     id="the longest first"),
        pytest.param(["a"], "a bad password", "a bad password", id="one character shows nothing"),
        pytest.param(["12345"], "code 12345", "code 12345", id="five characters"),
        pytest.param(["123456"], "code 123456", f"code {MASK}", id="six characters"),
        pytest.param([""], "text", "text", id="no secret"),
        pytest.param([], "a\x1b[31m\r\n b", "a [31m b", id="control characters"),
        pytest.param([], "x" * 1000, "x" * MAX_TEXT, id="a long text"),
    ],
)  # fmt: skip
def test_a_text_is_made_fit_to_be_shown(secrets: list[str], text: str, shown: str) -> None:
    assert Redactor(*secrets)(text) == shown


@table(
    ("error", "kind", "words"),
    [
        pytest.param(TimeoutError(), ConnectionLost, "LOGIN: the server did not answer", id="time"),
        pytest.param(EOFError("closed"), ConnectionLost, "LOGIN: closed", id="end of the stream"),
        pytest.param(ConnectionResetError(104, "reset"), ConnectionLost, "LOGIN: reset", id="OS"),
        pytest.param(ssl.SSLError("x"), ConnectionLost, "SSLError", id="TLS"),
        pytest.param(ValueError("bad"), ProtocolError, "LOGIN: bad", id="a codec"),
        pytest.param(MemoryError(), ProtocolError, "not enough memory", id="memory"),
        pytest.param(LookupError("lost"), ConnectionLost, "lost", id="one that is named as lost"),
        pytest.param(Throttled("wait", kind="rate"), Throttled, "wait", id="one of ours"),
        pytest.param(KeyboardInterrupt(), KeyboardInterrupt, "", id="a person"),
    ],
)
def test_foreign_exceptions_become_ours(
    error: BaseException, kind: type[BaseException], words: str
) -> None:
    with pytest.raises(kind) as caught, map_exceptions("LOGIN", lost=(LookupError,)):
        raise error
    assert type(caught.value) is kind
    assert words in str(caught.value)


def test_an_error_without_words_is_named() -> None:
    assert error_text(OSError()) == "OSError"
