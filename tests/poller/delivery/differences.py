"""Where a real server is different, case by case, with the reason.

Every other case of the suite passes on every server. A case that runs and fails as expected is an
error once it passes, so the table cannot say more than is true.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Difference:
    """A case that does not pass on a server.

    Attributes:
        server: the server, as the ids of the tests have it.
        case: the test's name and, if it is about some of its cases, what their ids contain.
        reason: what the server does, or does not do.
        runs: the case runs and fails, each time; without it the case cannot be staged, or ends
            now this way, now that.
    """

    server: str
    case: tuple[str, str]
    reason: str
    runs: bool = True

    def fits(self, name: str) -> bool:
        """Whether this is about the test of this name, with its ids in brackets."""
        test, _, ids = name.partition("[")
        first, _, rest = ids.rstrip("]").partition("-")
        return (first, test) == (self.server, self.case[0]) and self.case[1] in rest

    def mark(self) -> pytest.MarkDecorator:
        """What the test is marked with."""
        if self.runs:
            return pytest.mark.xfail(strict=True, reason=f"{self.server}: {self.reason}")
        return pytest.mark.skip(reason=f"{self.server}: {self.reason}")


NO_MOVE = "it has no MOVE"
NO_UIDNEXT = "it names no UIDNEXT for an empty mailbox, so there is none to spoil"
STILL_GIVEN = "it gives an expunged message to a session that has not been told so"
NO_CALL = "what happens between the last command and its IDLE it never tells"

DIFFERENCES = (
    Difference(
        "Cyrus",
        ("test_handled_mail_is_moved_to_a_mailbox_that_is_made_for_it", "quotes and an ampersand"),
        "it takes no name with a quotation mark; the mail stays, \\Seen, as the log says",
    ),
    Difference("Courier", ("test_a_move_that_is_cut_off_leaves_one_copy", "MOVE-"), NO_MOVE),
    Difference(
        "Courier",
        ("test_the_mailbox_is_touched_once_the_last_inbox_has_handled_it", "moved"),
        f"{NO_MOVE}, so a move costs a STORE more",
    ),
    Difference("Courier", ("test_what_the_server_has_no_more_is_gone", ""), STILL_GIVEN),
    Difference("Courier", ("test_a_rest_that_ends_early_leaves_no_file", ""), STILL_GIVEN),
    Difference(
        "Courier",
        ("test_a_uidnext_that_says_nothing_hides_no_mail", ""),
        NO_UIDNEXT,
        runs=False,
    ),
    Difference(
        "Courier",
        ("test_a_uidnext_that_went_back_begins_a_new_epoch", ""),
        NO_UIDNEXT,
        runs=False,
    ),
    Difference(
        "pymap",
        ("test_gaps_between_uids_cost_nothing", ""),
        "it takes the sequence numbers of a UID SEARCH for UIDs, so gaps cost two commands",
    ),
    Difference(
        "pymap",
        ("test_a_message_that_is_expunged_after_it_was_listed_and_before", "it was fetched"),
        STILL_GIVEN,
    ),
    Difference(
        "pymap",
        ("test_a_whole_mailbox_that_is_emptied_before_it_is_fetched", ""),
        STILL_GIVEN,
    ),
    Difference("pymap", ("test_a_rest_that_ends_early_leaves_no_file", ""), STILL_GIVEN),
    Difference(
        "pymap",
        ("test_new_mail_during_an_idle_is_handed_over", ""),
        NO_CALL,
        runs=False,
    ),
    Difference(
        "pymap",
        ("test_new_mail_is_handed_over_at_most_50_ms_after_the_servers_word", ""),
        NO_CALL,
        runs=False,
    ),
    Difference(
        "pymap",
        ("test_what_happens_to_flags_makes_it_look_and_nothing_else", ""),
        NO_CALL,
        runs=False,
    ),
)


def difference(name: str) -> Difference | None:
    """What is different for the test of this name, with its ids in brackets."""
    return next((differs for differs in DIFFERENCES if differs.fits(name)), None)
