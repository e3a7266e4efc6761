"""Carries out the faults that a test has ordered for a stage of the conversation."""

from __future__ import annotations

from dataclasses import dataclass

from nornmail.testing.connection import Dropped
from nornmail.testing.smtp.client import Client
from nornmail.testing.smtp.faults import (
    CLOSING,
    GREETING_REFUSED,
    Call,
    Drop,
    Extra,
    Garbage,
    Reply,
    Silent,
    StageFault,
)
from nornmail.testing.smtp.grammar import encode_reply


@dataclass
class Plan:
    """The combined effect of the faults of one stage.

    Attributes:
        instead: octets to send instead of the real answer; None is the real answer.
        act: carry the command out although there is something instead.
        close: end the connection after the answer.
    """

    instead: bytes | None = None
    act: bool = False
    close: bool = False


def arrange(client: Client, stage: str, recipient: str | None) -> Plan:
    """Carry out the faults that fire at this stage."""
    plan = Plan()
    for fault in client.state.faults.take(
        StageFault, lambda fault: fault.matches(stage, recipient)
    ):
        match fault:
            case Call():
                fault.function()
            case Silent(act=False):
                client.conn.swallow()
            case Drop(act=False):
                raise Dropped("cut before acting", reset=fault.reset)
            case Reply():
                plan.instead = encode_reply(fault.code, fault.text.split("\n"))
                plan.act = fault.act
                plan.close = fault.code == CLOSING if fault.close is None else fault.close
                if stage == "CONNECT" and fault.code == GREETING_REFUSED:
                    client.refused = True
            case Garbage():
                plan.instead, plan.act = fault.data, fault.act
            case Extra():
                client.conn.write(fault.data)
            case Silent():
                client.conn.shape.cut_after, client.conn.shape.stall = fault.after_bytes, True
            case Drop():
                client.conn.shape.cut_after = fault.after_bytes
                client.conn.shape.reset = fault.reset
            case _:
                client.conn.shape.apply(fault)
    return plan
