"""What the receiving server found out about the sender (RFC 8601). Total, closed on failure.

``results`` reads one Authentication-Results field, ``verdicts`` decides which fields count and what
they say together, ``alignment`` compares domains.
"""
