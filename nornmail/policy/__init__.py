"""Pure decisions: nothing here asks a server, a store or a clock.

``epochs`` says what the mailbox's UIDs mean, ``looking`` what to ask of it, ``retry`` when a
message is tried again, ``patience`` how long a server is left alone, ``touching`` when the mailbox
is touched.
"""
