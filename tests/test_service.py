"""The files of the how-to page on services: as far as they can be checked without running them."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nornmail import ImapSettings
from nornmail.cli import main
from nornmail.cli.options import BAD_SETTINGS
from nornmail.settings.fields import parse_env
from tests.support.dovecot import Dovecot

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "how-to" / "run-as-a-service.md"
SERVED = {
    *("EMAIL_PROVIDER", "EMAIL_DOMAIN"),
    *("NORNMAIL_STATE", "NORNMAIL_BIND", "NORNMAIL_API_TOKEN"),
}
"""Variables that are not the mailbox's."""
COMPOSE = ROOT / "docs" / "compose.yaml"


def parse(lines: list[str], indent: int = 0) -> Any:
    """YAML as the compose file has it: mappings, lists of text, and blocks of text, by blanks.

    It takes ``lines`` off their beginning as long as they are indented by ``indent`` or more.
    """
    found: Any = None
    while lines:
        line = lines[0]
        if not line.strip() or line.lstrip().startswith("#"):
            lines.pop(0)
            continue
        depth = len(line) - len(line.lstrip(" "))
        if depth < indent:
            break
        assert depth == indent, f"not indented by {indent}: {line!r}"
        lines.pop(0)
        text = line.strip()
        if text.startswith("- "):
            found = [] if found is None else found
            item = text.removeprefix("- ")
            if re.match(r"[a-z]+: ", item):  # a mapping that begins behind the hyphen
                found.append(
                    parse([f"{'':{indent + 2}}{item}", *take(lines, indent + 2)], indent + 2)
                )
            else:
                found.append(scalar(item))
            continue
        found = {} if found is None else found
        key, colon, value = text.partition(":")
        assert colon, f"no mapping: {line!r}"
        assert key not in found, f"twice: {key}"
        if value.strip() == "|":
            found[key] = "\n".join(one[indent + 2 :] for one in take(lines, indent + 2)) + "\n"
        elif value.strip():
            found[key] = scalar(value.strip())
        else:
            found[key] = parse(lines, indent + 2)
    return found


def take(lines: list[str], indent: int) -> list[str]:
    """Take off the lines that are indented by ``indent`` at least, and empty ones among them."""
    taken = []
    while lines and (not lines[0].strip() or lines[0].startswith(" " * indent)):
        taken.append(lines.pop(0))
    return taken


def scalar(text: str) -> Any:
    """A value on one line. What YAML reads as something else than text must be quoted."""
    if text[0] in '"[':
        return json.loads(text)
    assert re.fullmatch(r"[A-Za-z./][^:#]*(?::[^:# ][^:#]*)*|[0-9]+s", text), f"quote {text!r}"
    assert text not in {"yes", "no", "true", "false", "on", "off", "null"}, f"quote {text!r}"
    return text


@pytest.fixture(scope="module")
def compose() -> Any:
    text = COMPOSE.read_text("utf-8")
    assert "\t" not in text
    return parse(text.splitlines())


def test_the_compose_file_has_what_it_speaks_of(compose: Any) -> None:
    assert set(compose) == {"services", "configs", "volumes"}
    assert set(compose["services"]) == {"dovecot", "nornmail"}
    for service in compose["services"].values():
        for volume in service["volumes"]:
            assert volume.partition(":")[0] in compose["volumes"]
        for config in service.get("configs", []):
            assert config["source"] in compose["configs"]
        assert set(service.get("depends_on", [])) <= set(compose["services"])
        assert service["build"]["dockerfile_inline"].startswith("FROM ")
        assert service["restart"] in ("unless-stopped", "on-failure")


def test_the_poller_of_the_compose_file_has_good_settings(compose: Any) -> None:
    service = compose["services"]["nornmail"]
    settings = ImapSettings.from_env(service["environment"])
    assert (settings.host, settings.use_ssl, settings.start_from) == ("dovecot", False, "all")
    known = {one.metadata["env"] for one in ImapSettings.__dataclass_fields__.values()}
    assert set(service["environment"]) <= known | SERVED
    assert service["ports"] == ["127.0.0.1:8000:8000"]
    assert service["environment"]["NORNMAIL_BIND"].endswith(":8000")
    assert service["environment"]["NORNMAIL_STATE"].startswith("/state/")
    assert service["volumes"] == ["state:/state"]
    assert (ROOT / "docs" / service["build"]["context"]).resolve() == ROOT


def test_the_command_of_the_compose_file_is_one(
    compose: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    program, *arguments = compose["services"]["nornmail"]["command"]
    assert program == "nornmail"
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out


def test_the_server_of_the_compose_file_takes_the_poller(compose: Any) -> None:
    server = compose["services"]["dovecot"]
    poller = compose["services"]["nornmail"]["environment"]
    config = compose["configs"]["dovecot"]["content"]
    assert server["configs"] == [{"source": "dovecot", "target": "/etc/dovecot/try.conf"}]
    assert "/etc/dovecot/try.conf" in server["build"]["dockerfile_inline"]
    assert f"args = password={poller['IMAP_PASSWORD']}\n" in config
    assert server["ports"] == [f"127.0.0.1:31143:{poller['IMAP_PORT']}"]


@pytest.mark.interop
def test_dovecot_understands_its_configuration(
    compose: Any, dovecot: Dovecot, tmp_path: Path
) -> None:
    if dovecot.version >= (2, 4):
        pytest.skip("the image has Dovecot 2.3, whose names 2.4 does not know")
    doveconf = shutil.which("doveconf")
    assert doveconf is not None
    path = tmp_path / "try.conf"
    path.write_text(compose["configs"]["dovecot"]["content"])
    read = subprocess.run(
        [doveconf, "-n", "-c", str(path)], capture_output=True, text=True, check=False
    )
    assert (read.returncode, read.stderr) == (0, "")
    assert "mail_location = maildir:/srv/mail/%u" in read.stdout


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)


def test_the_file_of_settings_is_good() -> None:
    (text,) = [block for block in blocks("ini") if "[Unit]" not in block]
    settings = ImapSettings.from_env(parse_env(text))
    assert (settings.password, settings.start_from) == ("correct horse", "new")


class Unit(configparser.ConfigParser):
    """Names have their case."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def test_the_unit_is_one() -> None:
    (text,) = [block for block in blocks("ini") if "[Unit]" in block]
    unit = Unit(interpolation=None)
    unit.read_string(text)
    assert unit.sections() == ["Unit", "Service", "Install"]
    service = unit["Service"]
    assert service["ExecStart"].split()[1:] == ["watch"]
    assert service["RestartPreventExitStatus"] == str(BAD_SETTINGS)
    assert service["Restart"] == "on-failure"
    state = f"/var/lib/{service['StateDirectory']}/"
    assert service["Environment"] == f"NORNMAIL_STATE={state}nornmail.db"
    assert service["StandardOutput"].startswith(f"append:{state}")


def test_the_page_calls_no_command_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    called = set(re.findall(r"\bnornmail ((?:dead )?[a-z]+) (?=--|\n|\\)", "".join(blocks("sh"))))
    assert called >= {"check", "dead list", "dead retry"}
    for command in called:
        with pytest.raises(SystemExit) as ended:
            main([*command.split(), "--help"])
        assert ended.value.code == 0
    assert capsys.readouterr().out
