"""The three levels of a replica in tiles: see `kinlim.stochastic.pinned.tiles`."""

import numpy as np
from numba import njit

from kinlim.stochastic.pinned.layout import (
    AT,
    CLOSED,
    FULL,
    GROUP,
    LOW,
    PAGE,
    PANEL,
    SEGMENT,
    SHEET,
    SIDE,
    STOP,
    USED_UP,
    Ints,
    Plan,
    Shared,
    Thread,
    Words,
    left_site,
)
from kinlim.stochastic.pinned.redistribute import LANES

_1 = np.uint64(1)


# --- levels 0 and 1: a panel ------------------------------------------------------------------------------------------


@njit(nogil=True, cache=True)
def open_panel(plan: Plan, shared: Shared, mine: Thread) -> None:
    """Begin with a panel."""
    where, panel = mine.where, mine.where[PANEL]
    where[SEGMENT], where[SHEET], where[AT] = 0, panel, 0
    shared.closed[panel], mine.counts[1] = 0, 0
    shared.seen[panel] = 0
    mine.low[0] = panel * LANES * plan.tile
    mine.high[LANES - 1] = (panel + 1) * LANES * plan.tile
    renew(plan, mine)


@njit(nogil=True, cache=True)
def renew(plan: Plan, mine: Thread) -> None:
    """Empty the lists of levels 0 and 1, whose collisions have been carried out; no boundary of level 1 cuts off."""
    start = mine.where[PANEL] * LANES * plan.tile
    mine.counts[0] = 0
    for tile in range(LANES):
        mine.begin[tile] = mine.end[tile] = tile * plan.limit
        if tile > 0:
            mine.low[tile] = mine.high[tile - 1] = start + tile * plan.tile


@njit(nogil=True, cache=True)
def sift(plan: Plan, shared: Shared, mine: Thread) -> None:
    """Go on through the words of the panel until `Thread.where[STOP]` has a reason to stop."""
    where, panel = mine.where, mine.where[PANEL]
    where[STOP] = USED_UP
    while where[SEGMENT] < plan.threads:
        segment, page = where[SEGMENT], where[SHEET]
        tip = shared.tips[segment, panel]
        last = tip // PAGE == page
        at, where[STOP] = _sift_page(
            shared.pool[segment], page * PAGE + where[AT], tip if last else (page + 1) * PAGE, plan.choices,
            plan.reach, plan.tile, plan.tile_factor, plan.tile_shift, plan.limit, panel * LANES * plan.tile, mine.site,
            mine.piece, mine.words, mine.end, mine.low, mine.high, mine.late, mine.boundary, shared.outer[panel],
            mine.counts,
        )  # fmt: skip
        where[AT] = at - page * PAGE
        if where[STOP] != USED_UP:
            break
        where[AT] = 0
        where[SEGMENT], where[SHEET] = (segment + 1, panel) if last else (segment, shared.link[segment, page])
    shared.outers[panel] = mine.counts[1]
    if where[STOP] == CLOSED:
        shared.closed[panel] = 1
        shared.rest[panel, 0], shared.rest[panel, 1], shared.rest[panel, 2] = where[SEGMENT], where[SHEET], where[AT]


@njit(nogil=True, cache=True)
def _sift_page(
    pool: Words,
    begin: int,
    stop: int,
    choices: np.uint64,
    reach: int,
    size: int,
    factor: np.uint64,
    shift: np.uint64,
    limit: int,
    start: int,
    site: Words,
    piece: Words,
    words: Words,
    end: Words,
    low: Words,
    high: Words,
    late: Words,
    boundary: Ints,
    outer: Words,
    counts: Ints,
) -> tuple[int, int]:
    """Put the words pool[begin:stop] into lists; returns how far it came, and why not further.

    The arguments are entries of `Plan` and `Thread`, `size` the sites of a tile and `start` the first of the panel:
    numba counts references to all arrays of a tuple that is passed on, which would take longer than all else here.
    """
    first, sites, j = np.uint64(start), np.uint64(reach), begin
    while j < stop:
        filled = np.uint64(0)
        for tile in range(LANES):
            filled = max(filled, end[tile] - np.uint64(tile * limit))
        room = min(limit - int(np.int64(filled)), stop - j)
        if room < min(GROUP, stop - j):
            return j, FULL
        until = stop if room == stop - j else j + room // GROUP * GROUP
        while j < until:
            for i in range(GROUP):
                left = left_site(pool[j + i], choices)
                site[i] = left
                piece[i] = ((max(left, first) - first) * (factor & LOW)) >> shift  # tile 0 if from the panel before
            for i in range(min(GROUP, until - j)):
                tile, left = piece[i], site[i]
                if low[tile] <= left and left + sites <= high[tile]:
                    at = end[tile]
                    words[at] = pool[j + i]
                    end[tile] = at + _1
                else:
                    if not _put_off(
                        np.int64(left), np.int64(left) + reach, np.int64(tile), pool[j + i], start, size, low, high,
                        late, boundary, outer, counts,
                    ):  # fmt: skip
                        return j + i, FULL if counts[0] > 0 else CLOSED
                    if counts[0] == late.size:
                        return j + i + 1, FULL
            j += min(GROUP, until - j)
    return stop, USED_UP


@njit(nogil=True, cache=True)
def _put_off(
    left: int,
    right: int,
    tile: int,
    word: np.uint64,
    start: int,
    size: int,
    low: Words,
    high: Words,
    late: Words,
    boundary: Ints,
    outer: Words,
    counts: Ints,
) -> bool:
    """Put a collision of sites left .. right - 1 off to level 1 or 2; False if it belongs to no single boundary."""
    down, up = left < np.int64(low[tile]), right > np.int64(high[tile])
    if down and up:
        return False
    between = tile - 1 if down else tile
    if between < 0 or between == LANES - 1:
        if counts[1] == outer.size:
            return False
        outer[counts[1]] = word
        counts[1] += 1
    else:
        if up and right > start + (tile + 1) * size:
            if right > np.int64(high[tile + 1]):
                return False
            low[tile + 1] = max(low[tile + 1], np.uint64(right))
        late[counts[0]], boundary[counts[0]] = word, between
        counts[0] += 1
    if down:
        low[tile] = max(low[tile], np.uint64(right))
    else:
        high[tile] = min(high[tile], np.uint64(left))
    return True


@njit(nogil=True, cache=True)
def sort_by_boundary(plan: Plan, mine: Thread) -> None:
    """Make lists of level 1, behind those of level 0."""
    begin, end, boundary = mine.begin, mine.end.view(np.int64), mine.boundary
    end[:] = 0
    for k in range(mine.counts[0]):
        end[boundary[k]] += 1
    at = LANES * plan.limit
    for b in range(LANES):
        begin[b], at = at, at + end[b]
        end[b] = begin[b]
    for k in range(mine.counts[0]):
        mine.words[end[boundary[k]]] = mine.late[k]
        end[boundary[k]] += 1


# --- level 2: ends of panels ------------------------------------------------------------------------------------------


@njit(nogil=True, cache=True)
def merge_ends(plan: Plan, shared: Shared, mine: Thread) -> int:
    """Make lists of level 2, as many as there is room for; returns the number of words.

    A walk along the ends of the panels, left end, right end, next panel. At a collision that crosses to the right it
    goes on with the panel there till it finds the same collision, then comes back and takes it. Where it gets from a
    left end to the right one of an open panel, another list begins.
    """
    words, begin, end = mine.words, mine.begin, mine.end.view(np.int64)
    panel, side = mine.where[PANEL], mine.where[SIDE]
    width, room = LANES * plan.tile, LANES * plan.limit
    lane = count = 0
    begin[:] = 0
    end[:] = 0
    while panel < plan.panels and lane < LANES and count < room:
        found, word = _peek(plan, shared, panel, side)
        left = np.int64(left_site(word, plan.choices))
        if not found and side == 0 and not shared.closed[panel]:
            side = 1
            if end[lane] > begin[lane]:
                lane += 1
                if lane < LANES:
                    begin[lane] = end[lane] = count
        elif not found or left + plan.reach > (panel + 1) * width:
            panel, side = panel + 1, 0
        else:
            _pop(shared, panel, side)
            if left < panel * width:
                panel -= 1
                side = 1 - shared.closed[panel]
                _pop(shared, panel, side)
            words[count] = word
            count += 1
            end[lane] = count
    mine.where[PANEL], mine.where[SIDE] = panel, side
    return count


@njit(nogil=True, cache=True)
def _peek(plan: Plan, shared: Shared, panel: int, side: int) -> tuple[bool, np.uint64]:
    """Find the next word of level 2 at the left (0) or right (1) end of a panel; if it is closed, at side 0, of all."""
    closed, middle = shared.closed[panel], np.uint64((panel * LANES + 1) * plan.tile)
    while shared.seen[panel, side] < shared.outers[panel]:
        word = shared.outer[panel, shared.seen[panel, side]]
        if closed or (left_site(word, plan.choices) < middle) == (side == 0):
            return True, word
        shared.seen[panel, side] += 1
    rest = shared.rest[panel]
    while closed and rest[0] < plan.threads:
        tip = shared.tips[rest[0], panel]
        last = tip // PAGE == rest[1]
        if rest[2] < (tip % PAGE if last else PAGE):
            return True, shared.pool[rest[0], rest[1] * PAGE + rest[2]]
        rest[2] = 0
        if last:
            rest[0] += 1
            rest[1] = panel
        else:
            rest[1] = shared.link[rest[0], rest[1]]
    return False, np.uint64(0)


@njit(nogil=True, cache=True)
def _pop(shared: Shared, panel: int, side: int) -> None:
    """Remove what `_peek` found."""
    if shared.seen[panel, side] < shared.outers[panel]:
        shared.seen[panel, side] += 1
    else:
        shared.rest[panel, 2] += 1
