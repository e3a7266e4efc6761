"""What happens to a message that is here: whom it is for, the claim, the call, how it ended.

``handing`` is the way of one message. ``recipients`` decides whom it is for, ``calls`` how a
handler is called, ``acquaintance`` whether an earlier epoch knew it, ``health`` whether it is the
handler or the messages that fail.
"""
