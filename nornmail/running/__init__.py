"""How a poller runs: pass after pass, the wait between them, in which thread, and how it ends.

``engine`` puts the rooms together, ``passes`` is one pass, ``loop`` pass after pass, ``rest`` the
wait, ``requests`` the passes that other threads ask for, ``lifecycle`` the thread, ``exclusive``
who may work on a mailbox.
"""
