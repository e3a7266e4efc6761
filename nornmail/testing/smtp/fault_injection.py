"""Carries out the faults that a test has ordered for a stage of the conversation."""

from __future__ import annotations

from dataclasses import dataclass

from nornmail.testing.connection import AnswerShape, Dropped
from nornmail.testing.imap import faults as imap_faults
from nornmail.testing.smtp.client import Client
from nornmail.testing.smtp.faults import (
    CLOSING,
    GREETING_REFUSED,
    Call,
    Drip,
    Drop,
    Extra,
    Garbage,
    Reply,
    Rewrite,
    Silent,
    StageFault,
    Trailing,
)
from nornmail.testing.smtp.grammar import encode_reply


@dataclass
class Plan:
    """What the faults of one stage want.

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
            case _:
                _shape(client.conn.shape, fault)
    return plan


def _shape(shape: AnswerShape, fault: StageFault) -> None:
    """Give the answer the shape that the fault wants."""
    match fault:
        case Silent():
            shape.cut_after, shape.stall = fault.after_bytes, True
        case Drop():
            shape.cut_after, shape.reset = fault.after_bytes, fault.reset
        case Trailing():
            shape.trailing += fault.data
        case Rewrite():
            shape.rewrite.append(fault.function)
        case Drip():
            shape.drip = imap_faults.Drip(chunk=fault.chunk, delay=fault.delay, hook=fault.hook)
