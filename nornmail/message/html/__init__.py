"""HTML to the text that a person sees: parsed, styled, and laid out in lines. Total and bounded.

``scan`` cuts the markup, ``build`` makes the ``tree``, ``css/`` says how each element looks,
``visibility`` whether a person sees it, and ``render`` and ``lines`` write down what is left.
See ``docs/explanation/visible-text.md``.
"""
