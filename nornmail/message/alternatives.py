"""Whether the plain part of a message says what a person sees of its HTML (RFC 2046, 5.1.4)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

_IDEOGRAPH: Final = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(
    # Addresses, which both forms write as they like. They are looked for at the beginning of a run
    # alone: at each of its characters the time would be the square of its length.
    r"(?<!\w)(?:\w{2,20}://|www\.|mailto:)\S{1,8000}"
    r"|(?<![\w.+/=-])[\w.+/=-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"
    r"|\[(?:image|cid|logo)[^\]\n]{0,200}\]"  # how programs write an image in plain text
    rf"|([{_IDEOGRAPH}]|[^\W_{_IDEOGRAPH}]{{1,100}})",
    re.IGNORECASE,
)
_OTHER_WORDS: Final = 4
"""Words in a row that only the plain part has, from which on it says something else. In 100 real
alternatives there are three at most where the two forms are of one text."""
_MAX_WORDS: Final = 1_000_000
"""Words of a plain part that are compared. HTML is not read so far as to show more of them."""
_FEW_WORDS: Final = 30
"""Words of a plain part that may be there only to say that the message is in its HTML."""
_MANY_TIMES: Final = 8
"""How many times as many words the HTML must show for that."""
_SOME_TIMES: Final = 3
"""The same for a plain part that has no words in common with it."""


def says_other(plain: str, shown: str) -> bool:
    """Whether ``plain`` has words that are not in ``shown``, or next to none of its words.

    Words count where a neighbour is the same in both: the same words in another order say something
    else. Wrapping, punctuation, case and addresses of links do not count.

    Args:
        plain: the plain part.
        shown: the text that a person sees of the HTML.
    """
    neighbours = {hash(pair) for pair in pairwise(_words(shown))}
    if not neighbours:  # pictures alone: the plain part is all the text that there is
        return False
    count = run = 0
    is_open = False  # the last word has no neighbour in common so far
    previous = ""
    for word in _words(plain):
        count += 1
        if count > _MAX_WORDS:
            return True
        if hash((previous, word)) in neighbours:
            if run - is_open >= _OTHER_WORDS:
                return True
            run, is_open = 0, False
        else:
            if run - is_open >= _OTHER_WORDS:
                return True
            run, is_open = run + 1, True
        previous = word
    times = _SOME_TIMES if run == count else _MANY_TIMES
    return run >= _OTHER_WORDS or count <= min(_FEW_WORDS, len(neighbours) // times)


def _words(text: str) -> Iterator[str]:
    for match in _WORD.finditer(text):
        word = match[1]
        if word:
            yield (word if word.isascii() else unicodedata.normalize("NFKC", word)).casefold()
