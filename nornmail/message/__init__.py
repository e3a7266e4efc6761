"""Raw bytes in, :class:`Message` out: never an exception, and bounded."""

from nornmail.message.addresses import Address
from nornmail.message.attachment import Attachment
from nornmail.message.authentication import Authentication
from nornmail.message.automatic import Automatic
from nornmail.message.bounce import Bounce, FailedRecipient
from nornmail.message.headers import Headers
from nornmail.message.message import Message, parse_message

__all__ = [
    "Address",
    "Attachment",
    "Authentication",
    "Automatic",
    "Bounce",
    "FailedRecipient",
    "Headers",
    "Message",
    "parse_message",
]
