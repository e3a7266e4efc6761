"""What is asked of the server's mailbox and done to it.

``epochs`` says what its UIDs mean, ``discovery`` which of them are new, ``intake`` fetches them,
``shortfall`` goes after what could not be had, ``backfill`` looks at old mail again, and
``actions`` flags, deletes and moves.
"""
