"""From a mailbox to the callback: discovery, fetching, delivery, and the loop around them."""
