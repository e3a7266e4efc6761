"""The new part of a reply: text without the quoted history and the signature."""
