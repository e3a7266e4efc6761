"""Limits on what is read of one message. More than that is a defect; the raw bytes stay whole.

Every reader in this room is linear in what it reads; the numbers keep the factor small, so that a
message of one megabyte costs less than two seconds whatever is in it.
"""

from __future__ import annotations

from typing import Final

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
"""Octets of one message that are read. Large providers accept 25 to 50 MB."""

MAX_HEADER_BYTES: Final = 512 * 1024
"""Octets of one header block that are read. Exchange refuses 256 KiB, Gmail 500 KB."""

MAX_HEADERS: Final = 2_000
"""Fields of one header block. Ordinary mail has 20 to 80."""

MAX_ENCODED_WORDS: Final = 2_000
"""Encoded words (RFC 2047) decoded in one field. The longest honest subjects have about twenty."""

MAX_ADDRESSES: Final = 2_000
"""Addresses read from one field. Submission servers stop at 100 to 2,000 recipients."""

MAX_NAME_WORDS: Final = 1_000
"""Words of one name in an address field."""

MAX_UNQUOTED_COMMAS: Final = 10
"""Commas in a name without quotes: ``Doe, Jo, Dr.`` has two."""

MAX_NAME_WORD_CHARS: Final = 10_000
"""Characters of one word of an address field. Longer ones are not names."""

MAX_ADDRESS_CHARS: Final = 1_000
"""Characters of one address; RFC 5321 allows 254. What is longer cannot be written to."""

MAX_PARAMETERS: Final = 100
"""Parameters of one Content-Type or Content-Disposition, RFC 2231 sections counted singly."""

MAX_MESSAGE_IDS: Final = 1_000
"""Ids read from one References field: the root and the newest are kept."""

MAX_MESSAGE_ID_CHARS: Final = 998
"""Characters of one Message-ID: the longest line that RFC 5322 allows."""

MAX_DATE_CHARS: Final = 128
"""Characters of a Date field that are read; the longest shape in use has about 60."""

MAX_CHARSET_ESCAPES: Final = 200_000
"""Changes of the character set in one text of ISO-2022-JP that are followed exactly. Behind them
the standard library reads on, to which the characters of vendors are none."""

MAX_FLOWED_LINES: Final = 200_000
"""Lines of a text that are put together again (format=flowed); each costs a microsecond."""

MAX_WRITTEN_LINKS: Final = 2_000
"""Links read from one plain text; a digest of a mailing list has about 100."""

MAX_PARTS: Final = 1_000
"""Parts of one message, over all levels."""

MAX_PART_FIELDS: Final = 50_000
"""Header fields of all parts of one message together; behind them no part is opened. Each costs a
quarter of a kilobyte, however short it is."""

MAX_NESTING: Final = 50
"""Levels of multiparts that are opened. Real mail stays under ten."""

MAX_ENCODED_MULTIPARTS: Final = 3
"""Multiparts of one message whose own transfer encoding is undone: each holds its bytes again."""

MAX_ENCODED_RUNS: Final = 500_000
"""Pieces of base64 in one part that end somewhere within four digits. A file of 25 MB, of which a
program encoded each line alone, has 330,000 pieces; theirs end where they should."""

MAX_UU_LINES: Final = 1_000_000
"""Lines of one uuencoded part. A file of 25 MB has 570,000."""

MAX_BROKEN_UU_LINES: Final = 10_000
"""Broken lines of one uuencoded part that are repaired; the others are left out."""

MAX_PADDED_BREAKS: Final = 5_000
"""Soft line breaks of one part of quoted-printable that are repaired: about 400 KB of text."""

MAX_BOUNDARY_HITS: Final = 100_000
"""Places that look like the start of a boundary line, over all levels of one message."""

MAX_FILENAME_BYTES: Final = 200
"""Octets of a file name in UTF-8: below the 255 of common file systems, with room for a suffix."""

MAX_FILENAME_CHARS_READ: Final = 4_000
"""Characters of a sender's file name that are looked at before it is shortened."""

MAX_QUOTE_SCAN_CHARS: Final = 256 * 1024
"""Characters in which the start of quoted history is looked for; what is beyond is kept."""

MAX_QUOTE_LINES: Final = 20_000
"""Lines in which the start of quoted history is looked for. A long thread has about 5,000."""

MAX_QUOTE_HTML_CHARS: Final = 512 * 1024
"""Characters of HTML whose structure is read for quotes; of a longer one the text alone is."""

DEFAULT_MODEL_CHARS: Final = 20_000
"""Characters of a message for a model where nothing else is asked for: about 5,000 tokens."""

MAX_REPORT_RECIPIENTS: Final = 1_000
"""Recipients read from one delivery report."""

MAX_REPORT_CHARS: Final = 1_000
"""Characters kept of a diagnostic."""

MAX_NOTICE_CHARS: Final = 64 * 1024
"""Characters of a delivery report in prose that are read; below is the copy of the message."""

MAX_NOTICE_LINE_CHARS: Final = 1_000
"""Characters of one line of it. SMTP's lines have 512 octets (RFC 5321, 4.5.3.1.5)."""
