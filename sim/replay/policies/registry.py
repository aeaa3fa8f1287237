"""All policies of the replay by name, and the right error for a name that is none."""

from __future__ import annotations

import difflib

from grid.errors import Finding, InputError
from sim.replay.policies.base import Policy
from sim.replay.policies.carbon_time import CarbonTime
from sim.replay.policies.carbonscaler import CarbonScaler
from sim.replay.policies.easy import Easy
from sim.replay.policies.fifo import Fifo
from sim.replay.policies.greenslot import GreenSlot
from sim.replay.policies.lowest_slot import LowestSlot
from sim.replay.policies.lowest_window import LowestWindow
from sim.replay.policies.milp import Milp
from sim.replay.policies.oracle import Oracle
from sim.replay.policies.outside import is_outside, outside_policy
from sim.replay.policies.price_only import PriceOnly
from sim.replay.policies.sun_follow import SunFollow
from sim.replay.policies.suspend_resume import SuspendResume
from sim.replay.policies.threshold import Threshold
from sim.replay.policies.wait_awhile import WaitAwhile

_ALL: tuple[Policy, ...] = (
    Fifo(),
    Easy(),
    Threshold(),
    LowestSlot(),
    LowestWindow(),
    CarbonTime(),
    WaitAwhile(),
    SuspendResume(),
    GreenSlot(),
    CarbonScaler(),
    PriceOnly(),
    SunFollow(),
    Milp(),
    Oracle(),
)

POLICIES: dict[str, Policy] = {policy.name: policy for policy in _ALL}
"""Policies with their default settings."""


def policy_named(name: str) -> Policy:
    """The policy of that name, or the one of a file of one's own (``FILE.py:CLASS``).

    Raises:
        InputError: there is none; says the nearest, or what is wrong with the file.
    """
    if is_outside(name):
        return outside_policy(name)
    if name not in POLICIES:
        nearest = difflib.get_close_matches(name, POLICIES, 1)
        raise InputError(
            [
                Finding(
                    "",
                    None,
                    "--policy",
                    repr(name),
                    f"one of {', '.join(POLICIES)}, or FILE.py:CLASS",
                    nearest[0] if nearest else None,
                )
            ]
        )
    return POLICIES[name]
