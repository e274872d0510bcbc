"""A payment provider that is slow and, as they do, sometimes fails."""

from __future__ import annotations

import random
import time
from typing import NamedTuple


class PaymentTimeoutError(Exception):
    """The provider did not answer in time; nobody handles this one, so the customer sees a 500."""


class Declined(Exception):  # noqa: N818 - the outcome's name in the trade, not a fault of the program
    """The card was refused; the shop answers 402."""


class Behaviour(NamedTuple):
    """How the provider behaves."""

    timeout_share: float = 0.06
    declined_share: float = 0.04
    usual_s: float = 0.04
    timeout_s: float = 0.25


def charge(total_cents: int, behaviour: Behaviour, retries: int) -> None:
    """Take the money, trying again after a time-out as often as ``retries`` says.

    Raises:
        PaymentTimeoutError: The provider gave no answer.
        Declined: The provider said no.
    """
    for attempt in range(retries + 1):
        chance = random.random()
        if chance >= behaviour.timeout_share:
            break
        time.sleep(behaviour.timeout_s)
        if attempt == retries:
            raise PaymentTimeoutError(f"no answer to a charge of {total_cents} cents")
    time.sleep(behaviour.usual_s * random.uniform(0.7, 1.6))
    if random.random() < behaviour.declined_share:
        raise Declined("Your bank did not accept this payment.")
