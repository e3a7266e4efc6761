"""HTML to the text that a person sees. Knows nothing of mail."""
