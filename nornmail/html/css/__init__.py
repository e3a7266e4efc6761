"""As much of CSS as decides whether a person sees a text. Total: what is invalid does not count."""

from __future__ import annotations


# ---- message/html/css
