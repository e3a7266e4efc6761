"""Where a mailbox is and where mail is handed in: from the environment or by hand, checked at once.

``imap`` and ``smtp`` hold a value each; ``variables`` says what the text of a variable means, and
``dotenv`` reads a ``.env`` file.
"""
