"""Settings of the mailbox and of sending, from the environment or from code, checked at once.

``imap`` and ``smtp`` hold a value each; ``variables`` says what the text of a variable means, and
``dotenv`` reads a ``.env`` file.
"""
