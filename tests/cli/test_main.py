"""What all commands have in common: help, mistakes, settings, exit statuses."""

from __future__ import annotations

import argparse
import html
import importlib.util
import os
import re
import sys
import tomllib
from pathlib import Path

import pytest

import nornmail
from nornmail import __version__
from nornmail.cli import main
from nornmail.cli.options import Settings
from nornmail.demo import NEXT, Screen
from nornmail.testing import MailServer
from tests.cli.support import Ended, User, mail

posix = pytest.mark.skipif(os.name != "posix", reason="descriptors as POSIX has them")
FULL = Path("/dev/full")
ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("demo", "check", "status", "watch", "poll", "dead")


def test_the_help_names_every_command_and_status(stranger: User) -> None:
    ended = stranger.run("--help")
    assert (ended.status, ended.err) == (0, "")
    assert all(f"\n    {command} " in ended.out for command in COMMANDS)
    assert {"0", "1", "2", "3", "4", "130"} <= set(ended.out.split("Exit status:")[1].split())


@pytest.mark.parametrize("command", [*COMMANDS, "dead list", "dead show", "dead retry"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    assert ended.value.code == 0
    assert f"usage: nornmail {command} " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("help", "usage: nornmail "),
        ("help poll", "usage: nornmail poll "),
        ("version", f"nornmail {__version__}"),
        ("-V", f"nornmail {__version__}"),
    ],
)
def test_words_that_people_try(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(said)


@pytest.mark.parametrize("command", ["", *nornmail.cli.COMMANDS])
def test_help_fits_the_terminal(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_the_version(stranger: User) -> None:
    assert stranger.run("--version") == Ended(0, f"nornmail {__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param("", "COMMAND", id="no command"),
        pytest.param("--verion", "unrecognized arguments: --verion", id="a mistyped option alone"),
        pytest.param("-v", "unrecognized arguments: -v", id="an option that there is not"),
        pytest.param("poll --nope", "usage: nornmail poll", id="the usage of the command"),
        pytest.param("poll extra", "unrecognized arguments: extra", id="a word too many"),
        pytest.param("", "Start with", id="how to begin"),
        pytest.param("wach", "did you mean 'watch'?", id="a mistyped command"),
        pytest.param("POLL", "did you mean 'poll'?", id="a command in capitals"),
        pytest.param("dead lst", "did you mean 'list'?", id="a mistyped command below another"),
        pytest.param("xyzzy", "invalid choice", id="no command at all"),
        pytest.param("watch --log-level loud", "--log-level", id="a level that there is not"),
        pytest.param("watch --mailbax X", "--mailbax", id="a mistyped option"),
        pytest.param("watch --mail X", "--mail", id="an abbreviated option"),
        pytest.param("dead show", "ID", id="an id left out"),
    ],
)
def test_a_mistake_in_the_arguments_is_status_2(
    arguments: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments.split())
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert (printed.out, said in printed.err) == ("", True)


@pytest.mark.parametrize("command", ["check", "watch", "poll"])
def test_a_missing_setting_is_one_line_and_status_2(command: str, stranger: User) -> None:
    ended = stranger.run(command)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("nornmail: IMAP_HOST is missing")
    assert ended.err.count("\n") == 1
    assert list(stranger.directory.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        pytest.param("poll --start-from soon", {}, "IMAP_START_FROM", id="an option"),
        pytest.param("poll", {"IMAP_PORT": "imap"}, "IMAP_PORT", id="a variable"),
        pytest.param("poll --env-file none.env", {}, "none.env", id="a file that is not there"),
        pytest.param("check", {"SMTP_HOST": "x", "SMTP_PORT": "y"}, "SMTP_PORT", id="SMTP's"),
        pytest.param("dead retry", {}, "ID is missing: name at least one", id="nothing named"),
        pytest.param(
            "serve --handler broken:handle", {}, "SyntaxError", id="a handler with a mistake"
        ),
    ],
)
def test_a_wrong_setting_is_named_and_is_status_2(
    arguments: str, variables: dict[str, str], said: str, user: User
) -> None:
    (user.directory / "nornmail.db").touch()
    (user.directory / "broken.py").write_text("def handle(:")
    ended = user.run(*arguments.split(), **variables)
    assert (ended.status, ended.out) == (2, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_a_line_of_the_file_that_cannot_be_understood_is_named(stranger: User) -> None:
    (stranger.directory / ".env").write_text("IMAP_HOST=x\nIMAP_PASSWORD\n")
    ended = stranger.run("poll")
    assert (ended.status, ended.out) == (2, "")
    assert ".env, line 2" in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param("poll --state .", id="a directory"),
        pytest.param("watch --state nowhere/state.db", id="no directory"),
        pytest.param("poll --state mail.txt", id="something else"),
        pytest.param("dead list", id="nothing there"),
        pytest.param("dead list --state mail.txt", id="something else that is read"),
    ],
)
def test_a_store_that_cannot_be_used_is_status_3(arguments: str, user: User) -> None:
    (user.directory / "mail.txt").write_text("something else")
    ended = user.run(*arguments.split())
    assert (ended.status, ended.out) == (3, "")
    assert ended.err.startswith("nornmail: ")
    assert ended.err.count("\n") == 1
    assert [path.name for path in user.directory.iterdir()] == ["mail.txt"]


def test_the_file_in_the_current_directory_is_read(server: MailServer, user: User) -> None:
    server.deliver(mail("one"))
    lines = "".join(f'export {name}="{value}"\n' for name, value in user.environment.items())
    (user.directory / ".env").write_text(f"# the agent's\n{lines}NORNMAIL_STATE=mine.json\n")
    user.environment = {}
    assert user.run("poll").json[0]["subject"] == "one"
    assert (user.directory / "mine.json").exists()


def test_arguments_win_over_the_environment_and_that_over_the_file(
    server: MailServer, user: User
) -> None:
    server.deliver(mail("one"), mailbox="One")
    server.deliver(mail("two"), mailbox="Two")
    (user.directory / "agent.env").write_text("IMAP_MAILBOX=None\n")
    named = ("poll", "--env-file", "agent.env")
    assert user.run(*named).status == 1
    assert user.run(*named, IMAP_MAILBOX="One").json[0]["subject"] == "one"
    ended = user.run(*named, "--mailbox", "Two", IMAP_MAILBOX="One")
    assert ended.json[0]["subject"] == "two"


def test_the_demo_runs_as_it_was_recorded(stranger: User) -> None:
    ended = stranger.run("demo", PYTHONIOENCODING="utf-8")
    assert (ended.status, ended.err) == (0, "")
    assert list(stranger.directory.iterdir()) == []
    lines = ended.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in ended.out
    words = " ".join(ended.out.split())
    assert "killed It is broken kill -9: the answer is on disk, not sent" in words
    assert "again It is broken your function runs once more: same answer" in words
    assert "ok It is broken sent once" in words
    assert "Kim has 4 answers, and no message is unread" in words
    svg = (ROOT / "docs" / "pictures" / "demo.svg").read_text("utf-8")
    texts = re.findall(r"<text [^>]*>(.*)</text>", svg)
    recorded = [html.unescape(re.sub(r"</?tspan[^>]*>", "", text)) for text in texts]
    assert [without_date(line) for line in recorded[1:]] == [
        without_date(line) for line in lines if line
    ]


def test_the_next_steps_of_the_demo_are_there_wherever_it_is_installed() -> None:
    for command, _ in NEXT:
        program, *words = command.split()
        if program == "nornmail":
            assert words[0] in nornmail.cli.COMMANDS
        else:  # python3 -m, of the standard library or the package
            assert (program, words[0]) == ("python3", "-m")
            assert importlib.util.find_spec(words[1])
    assert "Poller(" in (nornmail.__doc__ or ""), "what pydoc shows first"


def without_date(line: str) -> str:
    """The line of a quotation has the time of its run."""
    return re.sub(r"On .* Kim wrote:", "On a day, Kim wrote:", line)


@pytest.mark.long
def test_the_demo_needs_no_utf8(stranger: User) -> None:
    ended = stranger.run("demo", PYTHONIOENCODING="ascii")
    assert (ended.status, ended.err) == (0, "")
    assert "Gr??e aus K?ln" in ended.out


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False)],
    ids=["a terminal", "NO_COLOR is empty", "NO_COLOR"],
)
def test_the_demo_has_colours_on_a_terminal(
    variables: dict[str, str],
    coloured: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    Screen().message("ok", "a subject", "answered")
    assert ("\x1b[32m" in capsys.readouterr().out) == coloured


def test_a_reader_that_goes_away_is_no_traceback(stranger: User) -> None:
    with stranger.start("demo") as running:
        assert running.process.stdout is not None
        running.process.stdout.close()
        running.process.stdout = None
        ended = running.end()
    assert (ended.status, ended.err) == (1, "")


def test_an_ascii_terminal_shows_question_marks(server: MailServer, user: User) -> None:
    name = "März"
    server.deliver(mail("one"), mailbox=name)
    environment = {"IMAP_MAILBOX": name, "PYTHONIOENCODING": "ascii"}
    ended = user.run("check", **environment)
    assert (ended.status, ended.err) == (0, "")
    assert "M?rz has 1 message" in ended.out
    assert user.run("poll", "--state", "s.db", **environment).status == 0
    ended = user.run("status", "--state", "s.db", **environment)
    assert (ended.status, ended.err) == (0, "")
    assert "127.0.0.1 M?rz" in ended.out


def test_ctrl_c_while_modules_are_imported_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupting:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "nornmail.cli":
                raise KeyboardInterrupt

    with (ROOT / "pyproject.toml").open("rb") as file:
        script = tomllib.load(file)["project"]["scripts"]["nornmail"]
    module, _, function = script.partition(":")
    run = getattr(importlib.import_module(module), function)
    monkeypatch.delitem(sys.modules, "nornmail.cli")
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    assert run() == 130
    assert capsys.readouterr() == ("", "")


@posix
@pytest.mark.parametrize("command", ["poll", "watch"])
def test_without_standard_output_nothing_is_polled(
    command: str, server: MailServer, user: User
) -> None:
    server.deliver(mail("one"))
    ended = user.run(command, closed=1)
    assert ended.status == 1
    assert ended.err == (
        "nornmail: standard output is closed, so messages cannot be written to it\n"
    )
    assert server.mailbox().messages[0].flags == frozenset()


@posix
@pytest.mark.parametrize(
    ("stream", "fresh"),
    [
        pytest.param(0, False, id="input"),
        pytest.param(1, False, id="output"),
        pytest.param(2, False, id="errors"),
        pytest.param(1, True, id="output of a Python that starts"),
        pytest.param(0, True, id="input of a Python that starts", marks=pytest.mark.long),
        pytest.param(2, True, id="errors of a Python that starts", marks=pytest.mark.long),
    ],
)
def test_a_closed_stream_is_no_traceback(stream: int, fresh: bool, user: User) -> None:
    ended = user.run("check", closed=stream, fresh=fresh)
    assert ended.status == 0
    assert ended.err == ""


@posix
def test_what_is_logged_with_standard_error_closed_is_not_among_the_lines(
    server: MailServer, user: User
) -> None:
    server.deliver(mail("one"))
    ended = user.run("poll", "--log-level", "debug", closed=2)
    assert (ended.status, len(ended.json)) == (0, 2)


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("command", ["check", "demo"])
def test_a_full_disk_under_the_output_is_one_line(command: str, user: User) -> None:
    with FULL.open("wb") as full:
        ended = user.run(command, stdout=full)
    assert ended.status == 1
    assert ended.err == "nornmail: standard output: [Errno 28] No space left on device\n"


@pytest.mark.parametrize(
    ("environment", "file", "named"),
    [
        pytest.param({"IMAP_PASSWORD": "x"}, "IMAP_HOST=evil.example", "IMAP_HOST", id="the host"),
        pytest.param({"IMAP_PASSWORD": "x"}, "IMAP_USE_SSL=false", "IMAP_USE_SSL", id="no TLS"),
        pytest.param(
            {"IMAP_PASSWORD": "x"}, "IMAP_CA_FILE=ca.pem", "IMAP_CA_FILE", id="whom to trust"
        ),
        pytest.param({"SMTP_PASSWORD": "x"}, "SMTP_HOST=evil.example", "SMTP_HOST", id="SMTP"),
        pytest.param({"IMAP_PASSWORD": "x"}, "EMAIL_PRESET=gmail", "EMAIL_PRESET", id="a preset"),
        pytest.param({}, "IMAP_HOST=x.example\nIMAP_PASSWORD=x", "", id="its own password"),
        pytest.param(
            {"IMAP_PASSWORD": "x", "IMAP_HOST": "a.example"},
            "IMAP_HOST=b",
            "",
            id="a host that loses",
        ),
        pytest.param({"IMAP_PASSWORD": "x"}, "IMAP_MAILBOX=Other", "", id="another setting"),
    ],
)
def test_a_file_that_redirects_a_password_is_named(
    environment: dict[str, str],
    file: str,
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in list(os.environ):
        if name.startswith(("IMAP_", "SMTP_", "EMAIL_")):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(file)
    caplog.set_level("WARNING", logger="nornmail")  # whatever a command before has set
    Settings(argparse.Namespace(env_file=None))
    assert (named in caplog.text) if named else not caplog.records
    caplog.clear()
    settings = Settings(argparse.Namespace(env_file=""))
    assert (settings.env_file, caplog.records) == (None, [])
