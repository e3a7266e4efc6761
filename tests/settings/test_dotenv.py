"""``.env`` files: what a line means, what is refused, and that the environment wins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nornmail.errors import ConfigurationError
from nornmail.settings.fields import MAX_FILE_BYTES, parse_env, read_environment
from tests.support.table import table


@table(
    ("line", "value"),
    [
        pytest.param("NAME=value", "value", id="bare"),
        pytest.param("  NAME = value  ", "value", id="blanks around both"),
        pytest.param("NAME=value\r", "value", id="a line end of Windows"),
        pytest.param("export NAME=value", "value", id="export"),
        pytest.param("export\tNAME=value", "value", id="export and a tab"),
        pytest.param("NAME=", "", id="nothing"),
        pytest.param("NAME= # nothing", "", id="nothing, and a comment"),
        pytest.param("NAME=one two # three", "one two", id="a comment behind a blank"),
        pytest.param("NAME=pass#word", "pass#word", id="a hash within a word"),
        pytest.param("NAME=#word", "#word", id="a hash in front"),
        pytest.param("NAME=a=b==", "a=b==", id="equals signs"),
        pytest.param("NAME=$HOME ${HOME}", "$HOME ${HOME}", id="nothing is put in"),
        pytest.param(r"NAME=C:\new", r"C:\new", id="a bare backslash"),
        pytest.param("NAME=it's", "it's", id="a quote within a word"),
        pytest.param("NAME=''", "", id="empty single quotes"),
        pytest.param(r"NAME=' a \n $b # "
                     "c ' # d", r" a \n $b # c ", id="nothing is special in single quotes"),
        pytest.param('NAME=" a # b "', " a # b ", id="blanks and a hash in double quotes"),
        pytest.param(r'NAME="say \"a\\b\" \$c \t."', 'say "a\\b" $c \t.', id="escapes"),
        pytest.param(r'NAME="two\nlines"', "two\nlines", id="an escaped line end"),
        pytest.param(r'NAME="\d"', r"\d", id="a backslash before anything else"),
        pytest.param("NAME=Grüße", "Grüße", id="beyond ASCII"),
        pytest.param("\ufeffNAME=value", "value", id="a mark of the octets' order"),
    ],
)  # fmt: skip
def test_a_line_gives_a_value(line: str, value: str) -> None:
    assert parse_env(line) == {"NAME": value}


def test_empty_lines_and_comments_say_nothing() -> None:
    assert parse_env("\n# A=1\n   \n\t# B=2\n") == {}


def test_the_last_value_of_a_name_counts() -> None:
    assert parse_env("A=1\nB=2\nA=3") == {"A": "3", "B": "2"}


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("SECRET", id="no equals sign"),
        pytest.param("=SECRET", id="no name"),
        pytest.param("1A=SECRET", id="a name that begins with a digit"),
        pytest.param("A B=SECRET", id="a name with a blank"),
        pytest.param("A-B=SECRET", id="a name with a hyphen"),
        pytest.param("export SECRET", id="export of nothing"),
        pytest.param('A="SECRET', id="an open double quote"),
        pytest.param('A="SECRET\\"', id="an escaped double quote at the end"),
        pytest.param("A='SECRET", id="an open single quote"),
        pytest.param("A='it's SECRET'", id="a quote in single quotes"),
        pytest.param('A="SECRET" SECRET', id="more behind the quotes"),
    ],
)
def test_what_cannot_be_understood_names_file_and_line_and_not_the_value(
    line: str, tmp_path: Path
) -> None:
    path = tmp_path / "agent.env"
    path.write_text(f"# settings\nB=2\n{line}\n", "utf-8")
    with pytest.raises(ConfigurationError) as refused:
        read_environment(path, {})
    text = str(refused.value)
    assert text.startswith((f"{path}, line 3: must be NAME=value", f"{path}, line 3 is 'A=…': "))
    assert "SECRET" not in text


def test_what_is_not_utf_8_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "agent.env"
    path.write_bytes(b"A=1\nB=Gr\xfc\xdfe\n")
    with pytest.raises(ConfigurationError, match=r"line 2 .*UTF-8"):
        read_environment(path, {})


@pytest.mark.parametrize("make", ["nothing", "a directory", "too much"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, make: str) -> None:
    path = tmp_path / "agent.env"
    if make == "a directory":
        path.mkdir()
    elif make == "too much":
        path.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    with pytest.raises(ConfigurationError) as refused:
        read_environment(path, {})
    assert str(path) in str(refused.value)


def test_the_environment_wins_also_where_it_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "agent.env"
    path.write_text("A=file\nB=file\nC=file\n", "utf-8")
    environ = {"A": "above", "B": "", "D": "above"}
    assert read_environment(path, environ) == {"A": "above", "B": "", "C": "file", "D": "above"}


def test_os_environ_is_read_and_not_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NORNMAIL_TEST_A", "above")
    before = dict(os.environ)
    path = tmp_path / "agent.env"
    path.write_text("NORNMAIL_TEST_A=file\nNORNMAIL_TEST_B=file\n", "utf-8")
    found = read_environment(path)
    assert (found["NORNMAIL_TEST_A"], found["NORNMAIL_TEST_B"]) == ("above", "file")
    assert dict(os.environ) == before


def test_without_a_file_it_is_the_environment_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("NORNMAIL_TEST_B=file\n", "utf-8")
    assert read_environment() == dict(os.environ)
