"""The new part of a reply."""

from nornmail.message.quotes.plain import new_plain_text


def new_text(text: str) -> str:
    return new_plain_text(text)
