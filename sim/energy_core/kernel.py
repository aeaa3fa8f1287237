"""Many sites metered in compiled code, one after the other, each exactly: no object and no allocation a piece.

A piece ends where something given changes (a value of a series, a slot of a plan, an event), and inside it where the battery is full,
empty, at the plan's floor or back on the plan's path. All powers are constant in a piece, so its energies are power times time. The
rules are those of ``sim.world.battery_control`` and the bookkeeping that of ``sim.world.meter``, written a second time for arrays.

Times are seconds after the horizon's start, powers kW, energies kWh; battery power is positive while charging.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

TINY_S, TINY_KWH, BEHIND_KWH = 1e-7, 1e-9, 1e-6
"""As in the world: no shorter pieces; no smaller differences of charge; a battery no further behind its plan is on it."""

IMPORT_LIMIT, EXPORT_LIMIT, EXPORT_PRICE, FACTOR, IT, IDLE, SUN, WIND, PUE = range(9)
ROLES = 9
"""What a series of a site is."""

ENERGY, CHARGE, DISCHARGE, CHARGE_EFFICIENCY, DISCHARGE_EFFICIENCY, RESERVE, INITIAL = range(7)
"""Columns of the batteries; a site without one has 0 in ``ENERGY``."""

(I_CHARGE, I_DISCHARGE, I_FROM_GRID, I_TO_GRID, I_LOAD, I_USED, I_CURTAILED, I_NET, I_EXPORT, I_LEAVES, I_BUYS, I_WAIT, I_FLOOR,
 I_START, I_START_KWH, I_RATE) = range(16)  # fmt: skip
"""Columns of the intents, in the order of ``battery_control.Intent``."""

FLOWS = 10
"""Energies that are kept (``sim.world.meter.FLOWS``)."""


@njit(cache=True, nogil=True)
def _wanted(intents, row, now, soc, load, available, room):
    """Rules 1 to 5 of following a plan: battery power wanted, level ahead of the plan until which it holds (nan: none), power unused."""
    until, held = np.nan, 0.0
    ahead = soc - (intents[row, I_START_KWH] + intents[row, I_RATE] * (now - intents[row, I_START]) / 3600.0)
    if intents[row, I_CURTAILED] > 0.0:
        meant = max(intents[row, I_USED] + load - intents[row, I_LOAD], available - intents[row, I_CURTAILED])
        held = max(0.0, available - max(0.0, meant))
    leaves = intents[row, I_LEAVES] > 0.0
    if held > 0.0 and not leaves and ahead < -BEHIND_KWH:
        held, until = 0.0, 0.0
    left = available - held
    surplus, deficit = max(0.0, left - load), max(0.0, load - left)
    from_grid = intents[row, I_FROM_GRID]
    if from_grid > 0.0 and ahead > TINY_KWH:
        from_grid, until = 0.0, 0.0
    charge = min(intents[row, I_CHARGE], surplus + from_grid)
    discharge = min(intents[row, I_DISCHARGE], deficit + intents[row, I_TO_GRID])
    if surplus - charge > room:
        discharge = 0.0
    if discharge == 0.0 and surplus > charge:
        rest = surplus - charge
        refused = max(0.0, rest - room)
        charge += refused
        if intents[row, I_BUYS] > 0.0:
            charge += max(0.0, rest - refused - intents[row, I_EXPORT])
    if charge == 0.0 and intents[row, I_CHARGE] == 0.0 and deficit > discharge and ahead > intents[row, I_WAIT] + TINY_KWH:
        discharge, until = deficit, intents[row, I_WAIT]
    return charge - discharge, until, held if leaves else 0.0


@njit(cache=True, nogil=True)
def _setting(battery, s, floor, power, unused, soc, load, available, limit, room):
    """What the battery can do of ``power``: (power, lowest state of charge to which it holds, sun and wind left unused)."""
    most, least, reserve = battery[s, CHARGE], -battery[s, DISCHARGE], battery[s, RESERVE]
    energy = battery[s, ENERGY] if battery[s, ENERGY] > 0.0 else 1.0
    power = max(least, min(most, power))
    if power < 0.0 and soc <= floor + TINY_KWH:
        power = 0.0
    deficit = load - available
    unused = max(0.0, min(unused, limit - deficit - power))
    deficit += unused
    power = min(power, limit - deficit)
    power = max(least, min(most, max(power, -max(0.0, deficit + room))))
    if (power > 0.0 and soc >= energy - TINY_KWH) or (power < 0.0 and soc <= reserve + TINY_KWH):
        power = 0.0
    return power, floor if soc > floor + TINY_KWH else reserve, unused


@njit(cache=True, nogil=True)
def _reach(battery, s, intents, row, follow, now, until_s, soc, power, lowest, until_ahead):
    """Instant to which a setting holds, at most ``until_s``, and the state of charge there."""
    rate = power * battery[s, CHARGE_EFFICIENCY] if power >= 0.0 else power / battery[s, DISCHARGE_EFFICIENCY]
    hold = (until_s - now) / 3600.0
    then = soc + rate * hold
    bound = battery[s, ENERGY] if rate > 0.0 else lowest
    if rate != 0.0 and (bound - soc) / rate < hold:
        hold, then = (bound - soc) / rate, bound
    if follow and not math.isnan(until_ahead) and rate != intents[row, I_RATE]:
        planned = intents[row, I_START_KWH] + intents[row, I_RATE] * (now - intents[row, I_START]) / 3600.0
        cross = (soc - planned - until_ahead) / (intents[row, I_RATE] - rate)
        if 0.0 <= cross < hold:
            hold = cross
            then = planned + intents[row, I_RATE] * hold + until_ahead
    end = min(until_s, now + hold * 3600.0)
    if until_s - end < TINY_S:
        return until_s, then
    return max(end, now + TINY_S), then


@njit(cache=True, nogil=True)
def _plan_at(plan_from, plan_start, first, last, moment):
    """The latest commanded plan that is in force at an instant, or -1."""
    for p in range(last - 1, first - 1, -1):
        if moment >= plan_from[p] and moment >= plan_start[p]:
            return p
    return -1


@njit(cache=True, nogil=True)
def _next_break(
    now, end, edges, edge_first, edge_count, pointer, events, e0, e1, plan_from, plan_start, plan_step, plan_slots, p0, p1
):
    """The next instant at which something given changes; the pointers of the site's series are moved on to ``now``."""
    until, after = end, now + TINY_S
    for r in range(ROLES):
        n = edge_count[r]
        while pointer[r] < n and edges[edge_first[r] + pointer[r]] <= after:
            pointer[r] += 1
        if pointer[r] < n:
            until = min(until, edges[edge_first[r] + pointer[r]])
    for e in range(e0, e1):
        for c in range(3):
            if events[e, c] > after:
                until = min(until, events[e, c])
    for p in range(p0, p1):
        if plan_from[p] > after:
            until = min(until, plan_from[p])
        elif plan_start[p] > after:
            until = min(until, plan_start[p])
        else:
            k = math.floor((after - plan_start[p]) / plan_step[p]) + 1.0
            if k <= plan_slots[p]:
                until = min(until, plan_start[p] + k * plan_step[p])
    return until


@njit(cache=True, nogil=True)
def meter(
    end, edges, values, edge_first, edge_count, value_first, fixed, battery, islanded, on_feeder,
    event_first, events, plan_first, plan_from, plan_start, plan_step, plan_slots, plan_follows, intent_first, intents,
    step, totals, soc, lowest_soc, highest_soc, pieces, log, log_soc,
):  # fmt: skip
    """Meter all sites over ``[0, end)``.

    Args:
        end: length of the horizon, s.
        edges, values: all series; edge_first, edge_count, value_first: ``[sites, ROLES]``, where a site's series of a role is (a count of 0:
            it has none, and its factor is 1, its import and export unlimited, its PUE that of ``fixed``, everything else 0).
        fixed: ``[sites, 2]``, overhead in kW and PUE.
        battery: ``[sites, 7]``; islanded, on_feeder: ``[sites]``.
        event_first: ``[sites + 1]``; events: ``[n, 4]``, start, end, received (s), limit (kW).
        plan_first: ``[sites + 1]``; plan_from: instant from which a plan may be in force, plan_start, plan_step (s), plan_slots,
            plan_follows: its battery follows it, intent_first: its row in intents, ``[n]``; intents: ``[n, 16]``.
        step: length of a reporting slot, s; not used when ``log`` is empty.
        totals: filled, kWh ``[sites, FLOWS]``; soc, lowest_soc, highest_soc: filled, kWh ``[sites]``.
        pieces: filled, number of pieces ``[sites]``.
        log: filled, kWh ``[sites, slots, FLOWS]``, or without slots; log_soc: filled, kWh at the end of each slot ``[sites, slots]``.
    """
    slots = log.shape[1]
    pointer = np.zeros(ROLES, np.int64)
    level = np.empty(ROLES)
    power_of = np.empty(FLOWS)
    sums = np.empty(FLOWS)
    for s in range(fixed.shape[0]):
        pointer[:] = 0
        sums[:] = 0.0
        now, charge_now, count = 0.0, battery[s, INITIAL], 0
        has_battery = battery[s, ENERGY] > 0.0
        low, high = charge_now, charge_now
        while now < end:
            until = _next_break(
                now, end, edges, edge_first[s], edge_count[s], pointer, events, event_first[s], event_first[s + 1],
                plan_from, plan_start, plan_step, plan_slots, plan_first[s], plan_first[s + 1],
            )  # fmt: skip
            middle = 0.5 * (now + until)
            for r in range(ROLES):
                n = edge_count[s, r]
                if n == 0:
                    level[r] = np.inf if r <= EXPORT_LIMIT else (1.0 if r == FACTOR else (fixed[s, 1] if r == PUE else 0.0))
                    continue
                k = pointer[r]
                while k < n and edges[edge_first[s, r] + k] <= middle:
                    k += 1
                level[r] = values[value_first[s, r] + min(n - 2, max(0, k - 1))]
            p = _plan_at(plan_from, plan_start, plan_first[s], plan_first[s + 1], middle)
            row, follow, knows_until = -1, False, 0.0
            if p >= 0:
                slot = int((middle - plan_start[p]) // plan_step[p])
                row = intent_first[p] + slot if slot < plan_slots[p] else -1
                follow, knows_until = plan_follows[p] and row >= 0, plan_start[p]
            limit = level[IMPORT_LIMIT]
            for e in range(event_first[s], event_first[s + 1]):
                if max(events[e, 0], events[e, 2]) <= middle < events[e, 1]:
                    wanted = events[e, 3]
                    if follow and events[e, 2] <= knows_until:
                        wanted = max(wanted, intents[row, I_NET])
                    limit = min(limit, wanted)
            always = fixed[s, 0] + level[PUE] * level[IDLE]
            load = fixed[s, 0] + level[PUE] * (level[IDLE] + level[IT]) + (level[FACTOR] - 1.0) * always
            available = level[SUN] + level[WIND]
            room = level[EXPORT_LIMIT]
            if level[EXPORT_PRICE] < 0.0 or (on_feeder[s] and follow):
                room = min(room, intents[row, I_EXPORT] if follow else 0.0)
            floor = battery[s, RESERVE] if row < 0 else intents[row, I_FLOOR]
            while now < until:
                ahead_until, unused, power = np.nan, 0.0, available - load
                if follow:
                    power, ahead_until, unused = _wanted(intents, row, now, charge_now, load, available, room)
                power, lowest, unused = _setting(battery, s, floor, power, unused, charge_now, load, available, limit, room)
                stop, then = until, 0.0
                if has_battery:
                    stop, then = _reach(battery, s, intents, row, follow, now, until, charge_now, power, lowest, ahead_until)
                net = load - (available - unused) + power
                spare = max(0.0, -net)
                exported = max(min(spare, room), spare - (available - unused))
                curtailed = spare - exported + unused
                taken = max(0.0, net)
                power_of[0], power_of[1], power_of[2] = level[IT], load, 0.0 if islanded[s] else taken
                power_of[3], power_of[4], power_of[5], power_of[6] = exported, available, available - curtailed, curtailed
                power_of[7], power_of[8], power_of[9] = max(0.0, power), max(0.0, -power), taken if islanded[s] else 0.0
                hours = (stop - now) / 3600.0
                for f in range(FLOWS):
                    sums[f] += power_of[f] * hours
                if slots > 0:
                    k = min(slots - 1, int(now // step))
                    begin = now
                    while begin < stop:
                        finish = stop if k == slots - 1 else min(stop, (k + 1) * step)
                        for f in range(FLOWS):
                            log[s, k, f] += power_of[f] * ((finish - begin) / 3600.0)
                        if finish > begin:
                            log_soc[s, k] = charge_now + (then - charge_now) * ((finish - now) / (stop - now))
                        begin = finish
                        k += 1
                now, charge_now = stop, then
                low, high = min(low, then), max(high, then)
                count += 1
        totals[s, :] = sums
        soc[s], lowest_soc[s], highest_soc[s], pieces[s] = charge_now, low, high, count
