"""Each reply code at each stage, and what it means for each recipient: the table."""

from __future__ import annotations

import pytest

from nornmail.smtp.session import Session
from tests.outbox.messages import ANN, BOB, CAT, letter, standings
from tests.smtp.scripted import scripted
from tests.support.table import table

OK = b"250 ok\r\n"

# stage, what is said there, outcome, standings of three recipients, the code, usable afterwards
CODES = [
    pytest.param("MAIL", [b"250 ok\r\n"], "accepted", "aaa", 250, True, id="all is well"),
    pytest.param("MAIL", [b"451 4.3.0 later\r\n"], "deferred", "ppp", 451, True, id="MAIL 451"),
    pytest.param("MAIL", [b"452 4.3.1 disk full\r\n"], "deferred", "ppp", 452, True, id="MAIL 452"),
    pytest.param("MAIL", [b"421 4.3.2 closing\r\n"], "deferred", "ppp", 421, False, id="MAIL 421"),
    pytest.param("MAIL", [b"550 5.7.1 not you\r\n"], "refused", "rrr", 550, True, id="MAIL 550"),
    pytest.param("MAIL", [b"552 5.3.4 too big\r\n"], "refused", "rrr", 552, True, id="MAIL 552"),
    pytest.param("MAIL", [b"530 5.7.0 log in\r\n"], "refused", "rrr", 530, True, id="MAIL 530"),
    pytest.param("MAIL", [b"555 5.5.4 what?\r\n"], "refused", "rrr", 555, True, id="MAIL 555"),
    pytest.param("MAIL", [b"354 go on\r\n"], "deferred", "ppp", 0, False, id="MAIL 354"),
    pytest.param("RCPT", [OK, b"251 elsewhere\r\n", b"252 maybe\r\n"], "accepted", "aaa", 250, True,
                 id="RCPT 251 and 252"),
    pytest.param("RCPT", [OK, b"550 5.1.1 who?\r\n", OK], "accepted", "ara", 250, True,
                 id="RCPT 550 for one of three"),
    pytest.param("RCPT", [OK, b"450 4.2.0 greylisted\r\n", OK], "accepted", "apa", 250, True,
                 id="RCPT 450 for one of three"),
    pytest.param("RCPT", [b"550 5.1.1 who?\r\n", b"450 4.2.0 later\r\n", OK], "accepted", "rpa",
                 250, True, id="RCPT 550, 450 and 250"),
    pytest.param("RCPT", [b"550 5.1.1 who?\r\n"], "refused", "rrr", 550, True,
                 id="RCPT 550 for all"),
    pytest.param("RCPT", [b"450 4.2.0 later\r\n"], "deferred", "ppp", 450, True,
                 id="RCPT 450 for all"),
    pytest.param("RCPT", [b"550 5.1.1 who?\r\n", b"451 4.3.0 later\r\n"], "deferred", "rpp", 451,
                 True, id="RCPT 550 for one and 451 for the others"),
    pytest.param("RCPT", [OK, b"552 5.2.2 mailbox full\r\n", OK], "accepted", "ara", 250, True,
                 id="RCPT 552 of a full mailbox"),
    pytest.param("RCPT", [OK, b"552 too many recipients\r\n"], "accepted", "app", 250, True,
                 id="RCPT 552 of too many recipients"),
    pytest.param("RCPT", [OK, b"452 4.5.3 too many recipients\r\n"], "accepted", "app", 250, True,
                 id="RCPT 452 of too many recipients"),
    pytest.param("RCPT", [OK, b"452 4.2.2 mailbox full\r\n", OK], "accepted", "apa", 250, True,
                 id="RCPT 452 of a full mailbox"),
    pytest.param("RCPT", [OK, b"421 4.3.2 closing\r\n"], "deferred", "ppp", 421, False,
                 id="RCPT 421 at the second"),
    pytest.param("RCPT", [b"550 5.1.1 who?\r\n", b"421 4.3.2 closing\r\n"], "deferred", "rpp", 421,
                 False, id="RCPT 550 at the first and 421 at the second"),
    pytest.param("RCPT", [OK, b"354 go on\r\n"], "deferred", "ppp", 0, False, id="RCPT 354"),
    pytest.param("DATA", [b"451 4.3.0 later\r\n"], "deferred", "ppp", 451, True, id="DATA 451"),
    pytest.param("DATA", [b"421 4.3.2 closing\r\n"], "deferred", "ppp", 421, False, id="DATA 421"),
    pytest.param("DATA", [b"554 5.5.1 no valid recipients\r\n"], "refused", "rrr", 554, True,
                 id="DATA 554"),
    pytest.param("DATA", [b"503 5.5.1 out of order\r\n"], "refused", "rrr", 503, True,
                 id="DATA 503"),
    pytest.param("DATA", [b"250 ok\r\n"], "deferred", "ppp", 0, False, id="DATA 250"),
    pytest.param("end", [b"250 2.0.0 queued\r\n"], "accepted", "aaa", 250, True, id="end 250"),
    pytest.param("end", [b"451 4.7.1 later\r\n"], "deferred", "ppp", 451, True, id="end 451"),
    pytest.param("end", [b"452 4.3.1 disk full\r\n"], "deferred", "ppp", 452, True, id="end 452"),
    pytest.param("end", [b"421 4.3.2 closing\r\n"], "deferred", "ppp", 421, False, id="end 421"),
    pytest.param("end", [b"550 5.7.1 spam\r\n"], "refused", "rrr", 550, True, id="end 550"),
    pytest.param("end", [b"552 5.3.4 too big\r\n"], "refused", "rrr", 552, True, id="end 552"),
    pytest.param("end", [b"554 5.6.0 broken\r\n"], "refused", "rrr", 554, True, id="end 554"),
    pytest.param("end", [b"354 go on\r\n"], "unknown", "uuu", 0, False, id="end 354"),
    pytest.param("content", [b"552 5.3.4 too big\r\n"], "refused", "rrr", 552, False,
                 id="552 before the content had ended"),
    pytest.param("content", [b"451 4.3.0 later\r\n"], "deferred", "ppp", 451, False,
                 id="451 before the content had ended"),
    pytest.param("content", [b"250 ok\r\n"], "deferred", "ppp", 0, False,
                 id="250 before the content had ended"),
    pytest.param("MAIL", [b"221 bye\r\n"], "deferred", "ppp", 0, False, id="MAIL 221"),
    pytest.param("RCPT", [OK, b"221 bye\r\n"], "deferred", "ppp", 0, False, id="RCPT 221"),
    pytest.param("end", [b"221 bye\r\n"], "unknown", "uuu", 0, False, id="end 221"),
    pytest.param("MAIL", [b"550 5.4.5 Daily user sending limit exceeded\r\n"], "deferred", "ppp",
                 550, True, id="MAIL 550 of a limit that ends tomorrow"),
    pytest.param("end", [b"550 5.4.5 Daily user sending limit exceeded\r\n"], "deferred", "ppp",
                 550, True, id="end 550 of a limit that ends tomorrow"),
    pytest.param("RSET", [b"500 what?\r\n"], "accepted", "aaa", 250, True,
                 id="RSET is not needed after a success"),
]  # fmt: skip


@table(("stage", "said", "outcome", "who", "code", "usable"), CODES)
def test_a_reply_has_its_meaning_for_each_recipient(
    stage: str, said: list[bytes], outcome: str, who: str, code: int, usable: bool
) -> None:
    with scripted({stage: said}) as server:
        session = Session.open(server.settings())
        one = letter(ANN, BOB, CAT)

        def wait_for_what_comes_early(_: object) -> None:
            if stage == "content" and session._wire.is_quiet:
                sock = session._wire.sock
                assert sock is not None
                sock.recv(1, 2)  # MSG_PEEK: it is here

        found = session.submit(one.envelope, one.raw, before_content=wait_for_what_comes_early)
        assert (found.outcome, standings(found), found.code) == (outcome, who, code)
        assert found.usable is usable
        assert [one.address for one in found.recipients] == [ANN, BOB, CAT]
        assert all(one.text for one in found.recipients)
        assert session.alive() is usable
        session.close()
