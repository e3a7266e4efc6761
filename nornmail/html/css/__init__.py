"""As much of CSS as decides whether a person sees a text. Total: invalid CSS does not count."""
