"""The tables of a store in SQL, and the steps that lead from each version to the next.

They are written for sqlite; :mod:`nornmail.stores.postgres` translates the names of types.
"""

from __future__ import annotations

from nornmail.model import State
from nornmail.outgoing import QueueState

CLOSED_STATES = (State.FINISHED, State.PASSED_OVER)
"""The states that nearly all entries are in, and that no query selects."""
CLOSED = "('finished', 'passed over')"
"""The same as SQL. It is part of the schema, so it stays as it is if the states should change."""

THROUGH_STATES = (QueueState.SENT,)
"""The state that nearly all letters are in, and that no query selects."""
THROUGH = "('sent')"
"""The same as SQL, and part of the schema as well."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE mailbox (
            id INTEGER PRIMARY KEY, account TEXT NOT NULL, mailbox TEXT NOT NULL,
            token INTEGER NOT NULL, epoch INTEGER, uid_validity INTEGER, boundary INTEGER,
            matched INTEGER, begun_at REAL, watermark_uid_validity INTEGER, watermark_uid INTEGER,
            cut REAL, polled_at REAL, UNIQUE (account, mailbox)
        )""",
        # Without a rowid the entries lie in the order of their keys: new mail is appended, and an
        # epoch is read in one go.
        """CREATE TABLE entry (
            mailbox INTEGER NOT NULL, epoch INTEGER NOT NULL, uid INTEGER NOT NULL,
            inbox TEXT NOT NULL, uid_validity INTEGER NOT NULL, state TEXT NOT NULL,
            delivery_id TEXT NOT NULL, attempts INTEGER NOT NULL, due_at REAL NOT NULL,
            reason TEXT NOT NULL, header_digest TEXT, body_digest TEXT, message_id TEXT NOT NULL,
            size INTEGER NOT NULL, received_at REAL, truncated INTEGER NOT NULL,
            changed_at REAL NOT NULL, PRIMARY KEY (mailbox, epoch, uid, inbox)
        ) WITHOUT ROWID""",
        # Partial: what is through leaves the index, so it stays as small as what is not.
        f"""CREATE INDEX entry_open ON entry (mailbox, state, due_at, epoch, uid)
            WHERE state NOT IN {CLOSED}""",
        """CREATE INDEX entry_digest ON entry (mailbox, header_digest)
            WHERE header_digest IS NOT NULL""",
        """CREATE TABLE raw (
            mailbox INTEGER NOT NULL, epoch INTEGER NOT NULL, uid INTEGER NOT NULL,
            inbox TEXT NOT NULL, bytes BLOB NOT NULL, UNIQUE (mailbox, epoch, uid, inbox)
        )""",
        """CREATE TABLE passed_over (
            mailbox INTEGER NOT NULL, epoch INTEGER NOT NULL, low INTEGER NOT NULL,
            high INTEGER NOT NULL, PRIMARY KEY (mailbox, epoch, low)
        ) WITHOUT ROWID""",
    ),
    (
        # The dead entries that a person wants to be tried again.
        """CREATE TABLE asked (
            mailbox INTEGER NOT NULL, epoch INTEGER NOT NULL, uid INTEGER NOT NULL,
            inbox TEXT NOT NULL, PRIMARY KEY (mailbox, epoch, uid, inbox)
        ) WITHOUT ROWID""",
    ),
    (
        # The mail on its way out; an outbox is a row of `mailbox`, for the sake of its lease.
        """CREATE TABLE letter (
            id INTEGER PRIMARY KEY, outbox INTEGER NOT NULL, key TEXT NOT NULL,
            message_id TEXT NOT NULL, sender TEXT NOT NULL, recipients TEXT NOT NULL,
            smtputf8 INTEGER NOT NULL, subject TEXT NOT NULL, thread_id TEXT NOT NULL,
            is_answer INTEGER NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
            queued_at REAL NOT NULL, tried_at REAL NOT NULL, due_at REAL NOT NULL,
            submitted_at REAL NOT NULL, changed_at REAL NOT NULL, reason TEXT NOT NULL,
            size INTEGER NOT NULL, copied INTEGER NOT NULL, copy_due_at REAL NOT NULL,
            copy_tries INTEGER NOT NULL, dropped INTEGER NOT NULL, wish TEXT, UNIQUE (outbox, key)
        )""",
        f"""CREATE INDEX letter_open ON letter (outbox, state, due_at, queued_at)
            WHERE state NOT IN {THROUGH}""",
        "CREATE INDEX letter_message_id ON letter (message_id)",
        "CREATE INDEX letter_thread ON letter (outbox, thread_id, queued_at) WHERE is_answer",
        """CREATE INDEX letter_submitted ON letter (outbox, submitted_at)
            WHERE submitted_at > 0""",
        "CREATE INDEX letter_copy ON letter (outbox, copy_due_at) WHERE copy_due_at > 0",
        "CREATE INDEX letter_wish ON letter (outbox) WHERE wish IS NOT NULL",
        # Its recipients in lower case: who was written to, and whom a delivery report is about.
        """CREATE TABLE letter_to (
            outbox INTEGER NOT NULL, address TEXT NOT NULL, queued_at REAL NOT NULL,
            letter INTEGER NOT NULL, PRIMARY KEY (outbox, address, queued_at, letter)
        ) WITHOUT ROWID""",
        "CREATE TABLE letter_raw (letter INTEGER PRIMARY KEY, bytes BLOB NOT NULL)",
    ),
    (
        # The inboxes that were made while a program ran.
        """CREATE TABLE inbox (
            mailbox INTEGER NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, address TEXT NOT NULL,
            created_at REAL NOT NULL, backfill INTEGER NOT NULL, PRIMARY KEY (mailbox, id)
        ) WITHOUT ROWID""",
    ),
    (
        # The index as it was, but in words that PostgreSQL has too; and retention.
        "DROP INDEX letter_thread",
        """CREATE INDEX letter_thread ON letter (outbox, thread_id, queued_at)
            WHERE is_answer = 1""",
        "ALTER TABLE mailbox ADD COLUMN horizon REAL",
    ),
    (
        # What a person decides about mail on its way out.
        "ALTER TABLE letter ADD COLUMN approval TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE letter ADD COLUMN decision TEXT NOT NULL DEFAULT ''",
    ),
    (
        # Who wrote to us: a mailer may be allowed to write to them.
        "ALTER TABLE entry ADD COLUMN verified_sender TEXT",
        """CREATE INDEX entry_verified_sender ON entry (verified_sender)
            WHERE verified_sender IS NOT NULL""",
    ),
    # PostgreSQL alone: its leases, of which an outbox has one for each sender.
    (),
)
"""The steps from each version of the schema to the next; their number is the version. A step that
was released is never changed: another one is added."""
