"""HTML to the text that a person sees: parsed, styled, and laid out in lines. Total and bounded.

``scan`` cuts the markup, ``build`` makes the ``tree``, ``css/`` says how each element looks,
``visibility`` whether a person sees it, and ``render`` and ``lines`` write down what is left.
See ``docs/explanation/visible-text.md``.
"""

from nornmail.message.html.document import Text, html_to_text, parse_html, visible_text
from nornmail.message.html.invisible import plain_without_invisible
from nornmail.message.html.tree import Element

__all__ = [
    "Element",
    "Text",
    "html_to_text",
    "parse_html",
    "plain_without_invisible",
    "visible_text",
]
