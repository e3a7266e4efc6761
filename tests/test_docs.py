"""The documentation: its Python runs, its links lead somewhere, its tables are the code's."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import pkgutil
import re
import subprocess
import textwrap
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest

import nornmail
from nornmail import (
    AnswerLimits,
    ImapSettings,
    Mailer,
    MailerStatus,
    Poller,
    PollResult,
    SendLimits,
    SendResult,
    SmtpSettings,
    errors,
    events,
)
from nornmail.compose.compose import Draft
from nornmail.compose.policy import REFUSALS
from nornmail.message.automatic import KINDS
from nornmail.model import TRANSITIONS, State
from nornmail.outbox.status import MailerState
from nornmail.outgoing import QUEUE_TRANSITIONS, QueueState
from nornmail.poller.status import PollerState, Status
from nornmail.stores.postgres import LEASE_SECONDS
from tests.cli.support import Running
from tests.support.package import package_directory
from tests.support.postgresql import server
from tests.support.suite import run_pytest
from tests.support.zygote import zygote

ROOT = Path(__file__).resolve().parent.parent
INDEX = ROOT / "docs" / "README.md"
PAGES = [
    *(ROOT / "README.md", ROOT / "CHANGELOG.md"),
    *sorted((ROOT / ".github").glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
REFERENCE = ROOT / "docs" / "reference"
SETTINGS = REFERENCE / "settings.md"
POLLER = REFERENCE / "poller.md"
MAILER = REFERENCE / "mailer.md"
ERRORS = REFERENCE / "errors.md"
LIMITS = REFERENCE / "limits.md"
SENDING = ROOT / "docs" / "reference" / "sending.md"
STATUS = ROOT / "docs" / "reference" / "status-and-events.md"
DELIVERY = ROOT / "docs" / "explanation" / "delivery.md"
WHO_WROTE_IT = ROOT / "docs" / "explanation" / "who-wrote-it.md"
OUTBOX = ROOT / "docs" / "how-to" / "outbox.md"
ARCHITECTURE = ROOT / "docs" / "explanation" / "architecture.md"

LIMITED = (
    "defects",
    "settings.imap",
    "net.diagnose",
    "settings.fields",
    "settings.smtp",
    "poller.poller",
    "poller.actions",
    "poller.handler",
    "poller.loop",
    "poller.cycle",
    "poller.decisions",
    "poller.delivery",
    "poller.group",
    "poller.shared",
    "retry",
    "poller.wait",
    "imap.idle",
    "imap.limits",
    "message.limits",
    "outbox.transitions",
    "outbox.queue_runner",
    "smtp.session",
    "outbox.registry",
    "outbox.worker",
    "outbox.enqueue",
    "outbox.mailer",
    "outbox.mailboxes",
    "outbox.admin",
    "compose.addresses",
    "compose.mime",
    "compose.headers",
    "compose.compose",
    "compose.attachments",
    "smtp.transaction",
    "outgoing",
    "compose.policy",
    "compose.reply",
    "smtp.reply_codes",
    "net.redact",
    "net.sasl",
    "net.oauth",
    "oauth_login",
    "net.tls",
    "smtp.wire",
    "web.application",
    "web.http",
    "web.inboxes",
    "web.outbox",
    "html.limits",
)
"""The modules of which every number is on the page of limits."""
UNITS = {"KiB": 1024, "MiB": 1024 * 1024}

_BLOCK = re.compile(r"^(?P<indent> *)```python\b[^\n]*\n(?P<code>.*?)^(?P=indent)```", re.M | re.S)
_RUN = "<!-- run -->\n"
_FILE = re.compile(r"<!-- file: (\S+) -->\n\Z")
_OUTPUT = re.compile(r"(?:(?!```|#)[^\n]*\n)*```text\n(?P<output>.*?)^```", re.M | re.S)
_FENCED = re.compile(r"^ *```.*?^ *```", re.M | re.S)
_INLINE_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.I)

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def python_blocks(text: str) -> list[tuple[int, str]]:
    """Each block marked ``python``, with the line of the page on which its code begins."""
    return [
        (text.count("\n", 0, found.start("code")) + 1, textwrap.dedent(found["code"]))
        for found in _BLOCK.finditer(text)
    ]


def examples(text: str) -> list[tuple[int, str, str]]:
    """Each ``python`` block under a ``<!-- run -->``, with its line and what it is to print.

    That stands in the ``text`` block behind it, with nothing but prose in between.
    """
    found = []
    for block in _BLOCK.finditer(text):
        if text.endswith(_RUN, 0, block.start()):
            output = _OUTPUT.match(text, text.index("\n", block.end()) + 1)
            assert output is not None, "an example has no output behind it"
            line = text.count("\n", 0, block.start("code")) + 1
            found.append((line, block["code"], output["output"]))
    return found


def suite(text: str) -> dict[str, str]:
    """Each ``python`` block under a ``<!-- file: name -->``, by that name: a test suite."""
    found = (
        (_FILE.search(text, 0, block.start()), block["code"]) for block in _BLOCK.finditer(text)
    )
    return {name[1]: code for name, code in found if name is not None}


def relative_links(text: str) -> list[str]:
    """The links to other files, with their fragments; code is left out."""
    prose = _INLINE_CODE.sub("", _FENCED.sub("", text))
    return [link for link in _LINK.findall(prose) if not _ELSEWHERE.match(link)]


def anchors(text: str) -> set[str]:
    """What the headings of a page are called in links."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", text), re.M)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


def table(page: Path, *header: str) -> list[list[str]]:
    """The rows of the one table of a page that has this header, cells without backticks."""
    lines = page.read_text("utf-8").splitlines()
    (start,) = [n for n, line in enumerate(lines) if cells(line) == list(header)]
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(cells(line))
    return rows


def cells(line: str) -> list[str]:
    return [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]


def number(text: str) -> float:
    """A number as the page writes it: ``8 MiB``, ``3,600 s``, ``100``."""
    digits, _, unit = text.partition(" ")
    return float(digits.replace(",", "")) * UNITS.get(unit, 1)


ALL_EXAMPLES = [
    pytest.param(code, output, id=f"{page.relative_to(ROOT)}:{line}")
    for page in PAGES
    for line, code, output in examples(page.read_text("utf-8"))
]
PROGRAMS = [
    pytest.param(
        code,
        id=f"{page.relative_to(ROOT)}:{line}",
        marks=[pytest.mark.interop] if "psycopg" in code else [],
    )
    for page in PAGES
    for line, code in python_blocks(page.read_text("utf-8"))
    if code not in {one for _, one, _ in examples(page.read_text("utf-8"))}
    and code not in suite(page.read_text("utf-8")).values()
]
"""Examples that need an account: they are run up to the point where they would connect."""


@pages
def test_python_blocks_compile(page: Path) -> None:
    for line, code in python_blocks(page.read_text("utf-8")):
        # Empty lines in front, so that a SyntaxError names the line of the page.
        compile("\n" * (line - 1) + code, str(page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def run(code: str, directory: Path, **environment: str) -> str:
    """What a program prints in an empty directory; it must end well, and without a warning."""
    program = zygote().start(("-c", code), directory, os.environ | environment, subprocess.PIPE)
    with Running(program) as running:
        ended = running.end()
    assert ended.status == 0, ended.err
    return ended.out.replace("\r\n", "\n")


@pytest.mark.parametrize(("code", "output"), ALL_EXAMPLES)
def test_an_example_prints_what_the_page_says(code: str, output: str, tmp_path: Path) -> None:
    assert run(code, tmp_path) == output


@pytest.mark.parametrize("code", PROGRAMS)
def test_a_program_that_needs_an_account_comes_as_far_as_connecting(
    code: str, tmp_path: Path
) -> None:
    stub = "import nornmail\nnornmail.Poller.run_forever = lambda *_, **__: print('it would run')\n"
    account = {"IMAP_HOST": "imap.example.com", "IMAP_USERNAME": "agent@example.com"}
    if "psycopg" in code:
        postgresql = server()
        account["DATABASE_URL"] = f"postgresql://postgres@/postgres?host={postgresql.directory}"
    assert run(stub + code, tmp_path, **account) == "it would run\n"


SUITES: dict[str, list[Path]] = {}
for with_suite in PAGES:
    if files_of_suite := suite(with_suite.read_text("utf-8")):
        SUITES.setdefault(json.dumps(files_of_suite), []).append(with_suite)
"""The test suites, with the pages that have them: some pages show the same one."""


@pytest.mark.parametrize(
    "files",
    [
        pytest.param(json.loads(text), id=" and ".join(str(page.relative_to(ROOT)) for page in of))
        for text, of in SUITES.items()
    ],
)
def test_the_suite_of_a_page_passes(files: dict[str, str], tmp_path: Path) -> None:
    for name, code in files.items():
        (tmp_path / name).write_text(code, "utf-8")
    told = run_pytest(tmp_path, "-q")
    tests = sum(len(re.findall(r"^ *def test_", code, re.M)) for code in files.values())
    assert re.search(rf"^{tests} passed in ", told, re.M), told


@pages
def test_relative_links_lead_to_a_file_and_a_heading(page: Path) -> None:
    dead = []
    for link in relative_links(page.read_text("utf-8")):
        name, _, fragment = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (fragment and fragment not in anchors(target.read_text("utf-8"))):
            dead.append(link)
    assert not dead, "\n".join(dead)


def test_the_index_lists_every_page_once() -> None:
    rows = re.findall(r"^\| \[[^]]+\]\(([^)]+\.md)\) \| [^|]+ \|$", INDEX.read_text("utf-8"), re.M)
    pages = [str(page.relative_to(INDEX.parent)) for page in INDEX.parent.rglob("*.md")]
    assert sorted(rows) == sorted(set(pages) - {INDEX.name})


QUESTIONS = ROOT / "docs" / "how-to" / "questions.md"


def test_the_lines_of_the_log_that_are_explained_are_in_the_code() -> None:
    sources = "\n".join(path.read_text("utf-8") for path in package_directory().rglob("*.py"))
    for row in table(QUESTIONS, "the line has", "meaning"):
        for words in re.findall(r"[^`,]+", row[0].replace("`, `", "`")):
            state = words.removeprefix("is ").removesuffix(":")
            assert state in set(State) or words in sources, words


def test_the_table_of_a_letters_states_is_that_of_the_code() -> None:
    told = {
        QueueState(before): frozenset(map(QueueState, after_all.split(", ")))
        for before_all, after_all in table(ARCHITECTURE, "a queued message from", "to")
        for before in before_all.split(", ")
    }
    assert told == QUEUE_TRANSITIONS


def test_every_state_of_a_letter_is_explained() -> None:
    told = [row[0] for row in table(OUTBOX, "state", "meaning", "what to do")]
    assert sorted(told) == sorted(map(str, QueueState))


def test_the_arguments_and_methods_on_the_page_are_those_of_the_mailer() -> None:
    told = [tuple(row[:2]) for row in table(MAILER, "mailer's argument", "default", "meaning")]
    assert told == [
        (one.name, "required" if one.default is one.empty else repr(one.default))
        for one in inspect.signature(Mailer).parameters.values()
    ]
    methods = {
        row[0].removesuffix("()") for row in table(MAILER, "mailer's method", "what it does")
    }
    assert methods == {
        name for name in dir(Mailer) if not name.startswith("_") and callable(getattr(Mailer, name))
    }


def test_the_fields_on_the_page_are_those_of_a_send_result() -> None:
    told = [row[0] for row in table(MAILER, "of a SendResult", "meaning")]
    assert told == [one.name for one in fields(SendResult)]


def test_the_limits_of_sending_on_the_page_are_the_defaults() -> None:
    assert f"`{SendLimits()}`" in MAILER.read_text("utf-8")
    assert f"`{AnswerLimits()}`" in MAILER.read_text("utf-8")


def test_the_status_of_a_mailer_on_the_page_is_that_of_the_code() -> None:
    assert [row[0] for row in table(STATUS, "MailerStatus", "meaning")] == [
        one.name for one in fields(MailerStatus)
    ]
    told = [row[0] for row in table(STATUS, "state of a mailer", "what it is doing")]
    assert told == [str(state) for state in MailerState]


@pytest.mark.parametrize("page", [ARCHITECTURE, DELIVERY], ids=lambda page: page.stem)
def test_the_table_of_states_is_that_of_the_model(page: Path) -> None:
    told = {
        State(before): frozenset(State(after) for after in after_all.split(", "))
        if after_all != "nothing"
        else frozenset()
        for before_all, after_all in table(page, "from", "to")
        for before in before_all.split(", ")
    }
    assert told == TRANSITIONS


def test_every_kind_of_automatic_mail_is_explained() -> None:
    rows = table(WHO_WROTE_IT, "kind", "what it is", "signs")
    assert [row[0] for row in rows] == list(KINDS)


def test_every_state_is_explained() -> None:
    assert [row[0] for row in table(DELIVERY, "state", "meaning")] == [
        "new", "claimed", "handled", "finished", "waiting", "dead", "passed over", "gone"
    ]  # fmt: skip
    assert {State(row[0]) for row in table(DELIVERY, "state", "meaning")} == set(State)


def shown(settings: object, name: str) -> str:
    """A default as the page writes it."""
    value = getattr(settings, name)
    if name == "host":
        return "required"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return "not set" if value is None else str(value)


@pytest.mark.parametrize(
    ("settings", "first"),
    [
        pytest.param(ImapSettings(host="imap.example.com"), "variable", id="ImapSettings"),
        pytest.param(SmtpSettings(host="smtp.example.com"), "SMTP variable", id="SmtpSettings"),
    ],
)
def test_the_table_of_settings_is_that_of_the_code(
    settings: ImapSettings | SmtpSettings, first: str
) -> None:
    told = [tuple(row[:3]) for row in table(SETTINGS, first, "field", "default", "meaning")]
    assert told == [
        (one.metadata["env"], one.name, shown(settings, one.name)) for one in fields(settings)
    ]


def test_the_plain_port_on_the_page_is_the_default_without_tls() -> None:
    rows = table(SETTINGS, "variable", "field", "default", "meaning")
    (meaning,) = [row[3] for row in rows if row[1] == "port"]
    plain = ImapSettings(host="imap.example.com", use_ssl=False)
    assert f"`{plain.port}` is the default with `IMAP_USE_SSL=false" in meaning


def test_the_arguments_on_the_page_are_those_of_the_poller() -> None:
    told = [tuple(row[:2]) for row in table(POLLER, "argument", "default", "meaning")]
    arguments = inspect.signature(Poller).parameters.values()
    assert told == [
        (one.name, "required" if one.default is one.empty else repr(one.default))
        for one in arguments
    ]


def test_the_retry_policy_on_the_page_is_the_default_one() -> None:
    (told,) = re.findall(r"`(RetryPolicy\(delays=.*?\)\))`", POLLER.read_text("utf-8"))
    assert ast.literal_eval(told.partition("=")[2][:-1]) == nornmail.RetryPolicy().delays


def test_the_methods_on_the_page_are_those_of_the_poller() -> None:
    told = {row[0].removesuffix("()") for row in table(POLLER, "method", "what it does")}
    assert told == {name for name in vars(Poller) if not name.startswith("_")}


def test_the_fields_on_the_page_are_those_of_a_poll_result() -> None:
    told = [row[0] for row in table(POLLER, "field", "meaning")]
    assert told == [one.name for one in fields(PollResult)]


def test_the_fields_on_the_page_are_those_of_a_status() -> None:
    told = [row[0] for row in table(STATUS, "Status", "meaning")]
    assert told == [one.name for one in fields(Status)]


def test_the_states_on_the_page_are_those_of_a_poller() -> None:
    told = [row[0] for row in table(STATUS, "state", "what the poller is doing")]
    assert told == [str(state) for state in PollerState]


def test_the_events_on_the_page_are_those_there_are() -> None:
    told = {
        row[0]: set(re.findall(r"\w+", row[1])) for row in table(STATUS, "event", "fields", "when")
    }
    kinds = [one for one in vars(events).values() if isinstance(one, type)]
    assert told == {
        one.__name__: {field.name for field in fields(one)} - {"at"}
        for one in kinds
        if issubclass(one, events.Event) and not one.__subclasses__()
    }


def test_the_stores_on_the_page_are_those_there_are() -> None:
    page = ROOT / "docs" / "reference" / "stores.md"
    rows = table(page, "store", "keeps it in", "processes")
    stores = {row[0].partition("(")[0] for row in rows}
    assert stores == {n for n in nornmail.__all__ if n.endswith("StateStore")} - {"StateStore"}
    assert f"lease_seconds={LEASE_SECONDS:g}" in page.read_text("utf-8")


def test_every_error_is_on_the_page() -> None:
    rows = table(ERRORS, "error", "when", "under `run_forever()", "what to do")
    assert [row[0] for row in rows] == [
        name
        for name, one in vars(errors).items()
        if isinstance(one, type) and issubclass(one, errors.NornmailError)
    ]


def test_all_errors_but_one_are_public_names() -> None:
    rows = table(ERRORS, "error", "when", "under `run_forever()", "what to do")
    assert {row[0] for row in rows} - set(nornmail.__all__) == {"IllegalTransition"}


def numbers(module: str) -> dict[str, float]:
    """The constants that a module defines itself and that are numbers."""
    loaded = importlib.import_module(f"nornmail.{module}")
    defined = re.findall(r"^([A-Z][A-Z0-9_]*)\b.*? = ", inspect.getsource(loaded), re.M)
    return {
        f"{module}.{name}": vars(loaded)[name]
        for name in defined
        if isinstance(vars(loaded)[name], int | float)
        and name not in {"KIB", "MIB", "HOUR", "DAY", "CLOSING"}
    }


def test_the_refusals_on_the_page_are_those_of_the_code() -> None:
    assert [row[0] for row in table(SENDING, "refusal", "what it is")] == list(REFUSALS)


def test_the_fields_on_the_page_are_those_of_a_draft() -> None:
    rows = table(SENDING, "field of a `Draft", "meaning")
    told = [name.strip(" `") for row in rows for name in row[0].split(",")]
    assert told == [one.name for one in fields(Draft)]


def test_the_limits_on_the_page_are_those_of_the_code() -> None:
    told = {row[0]: number(row[1]) for row in table(LIMITS, "constant", "value", "why")}
    assert told == {name: value for module in LIMITED for name, value in numbers(module).items()}


ROLE = re.compile(r":(?:func|meth|class|data|attr|mod|exc):`~?([\w.]+)`")


def leads_somewhere(reference: str, module: ModuleType, code: str) -> bool:
    """Whether a reference in a docstring of a module, whose code this is, leads to what exists."""
    try:
        pkgutil.resolve_name(reference)
        return True
    except (ImportError, AttributeError, ValueError):
        pass  # it is a name of the module, or of a class in it
    first, *rest = reference.split(".")
    classes = [member for member in vars(module).values() if isinstance(member, type)]
    for owner in (module, *classes):
        member = getattr(owner, first, None)
        if member is not None or first in getattr(owner, "__annotations__", {}):
            return not rest or hasattr(member, rest[0])
    return f"self.{first}" in code and not rest


def test_references_in_docstrings_lead_somewhere() -> None:
    lost = []
    for source in sorted(package_directory().rglob("*.py")):
        path = source.relative_to(package_directory().parent).with_suffix("")
        name = ".".join(path.parts).removesuffix(".__init__")
        code = source.read_text(encoding="utf-8")
        references = ROLE.findall(code)
        if references and not name.endswith("__main__"):
            module = importlib.import_module(name)
            lost += [f"{name}: {r}" for r in references if not leads_somewhere(r, module, code)]
    assert not lost, "\n".join(lost)


def test_blocks_are_found() -> None:
    text = "a\n```python\nx = 1\n```\n\n- b\n\n  ```python title\n  y = 2\n  ```\n```sh\nls\n```\n"
    assert python_blocks(text) == [(3, "x = 1\n"), (9, "y = 2\n")]


def test_examples_are_found_with_their_output() -> None:
    block = "```python\nprint(1)\n```\n"
    text = f"{block}\n<!-- run -->\n{block}\nIt says:\n\n```text\n1\n```\n"
    assert examples(text) == [(7, "print(1)\n", "1\n")]


def test_an_example_without_output_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="no output"):
        examples("<!-- run -->\n```python\nprint(1)\n```\n\n```sh\nls\n```\n\n```text\n1\n```\n")


def test_files_are_found_by_their_name() -> None:
    block = "```python\nx = 1\n```\n"
    assert suite(f"{block}\n<!-- file: a.py -->\n{block}") == {"a.py": "x = 1\n"}


def test_links_are_found() -> None:
    text = "[a](x.md#y) [b](https://example.com) [c](#z) `[d](no.md)` [e](../f.md)\n"
    assert relative_links(text + "```\n[g](no.md)\n```\n") == ["x.md#y", "#z", "../f.md"]


def test_headings_become_anchors() -> None:
    assert anchors("# One, two\n```\n# no\n```\n## `A` B's\n") == {"one-two", "a-bs"}
