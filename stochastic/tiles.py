"""One replica of many balls: its collisions in another order, which is fast, and the same bits as one after the other.

**What may be reordered.** A collision reads and writes `reach` neighbouring sites and nothing else. Two collisions
without a common site commute, bit by bit. Therefore any order of the same collisions gives the same velocities as long
as it keeps the order of every two that overlap, that is, have a common site: if such an order is not the original one,
then somewhere in it two neighbours are the wrong way round; these do not overlap; to exchange them changes no bit,
keeps the order of all overlapping pairs and leaves one inversion less; after finitely many exchanges we have the
original order. (Two words with the same heap of pieces are equal: Cartier and Foata, 1969; Viennot, 1986.)

**The order taken here.** Sites are cut into tiles, LANES tiles are a panel, and words are drawn in chunks of a few per
site. The words of a panel, in the order of the chunk, go to lists of three levels:
    0. of a tile, for collisions inside of it;
    1. of a boundary between two tiles;
    2. of the ends of the panel.
In each tile an interval [low, high) of sites is kept, at first all of the tile. A collision within the interval of its
tile has level 0. Any other, because it crosses a boundary or because it touches what was cut off before, belongs to the
boundary at that end of its tile and is put off: it goes to the boundary's list, and low or high moves, on both sides of
a boundary that it crosses, to leave its sites out. A boundary between panels has level 2, the others have level 1. Then
 - the sites that a boundary's list has touched are those between the `high` on its left and the `low` on its right;
 - so of two overlapping collisions the later one never has a lower level: it would lie within an interval from which
   the sites of the earlier one were taken; and at the same level they are in the same list, where they keep their order;
 - lists of one level have no common site and may be carried out side by side, in the lanes of a vector, by threads.
First all lists of level 0, then those of level 1, then those of level 2: a permutation that keeps all overlapping pairs.

When a list is full, and when a collision touches what was cut off at both ends of a tile, the lists of levels 0 and 1 are
carried out there and then and the boundaries of level 1 begin anew: a collision that comes later and is not at level 2
overlaps with none of level 2 that came before, so it may come before them and after all others. If a collision meets what
was cut off at an end of the panel and still belongs to no single boundary, the panel is closed: that collision and all
that follow have level 2, in one list. A collision that crosses from one panel into the next is in the lists of both.
The lists of level 2 are all in the order of the chunk, so they fit together: they are merged at the collisions that two
of them share, and carried out once.

**Drawing.** A stream is linear, so `jump` leads to any word of it. A batch is drawn in DRAWS pieces side by side, each
piece from its own place in the stream, and threads draw different batches of a chunk.

**Threads** share batches and panels and meet twice in a chunk. Nothing above depends on how many there are.

**Memory**: 8 n bytes of velocities, 32 n of words (address space for twice that), and about 1 MB a thread.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kinlim.stochastic.barrier import wait_for_all
from kinlim.stochastic.jump import jump, polynomial
from kinlim.stochastic.streams import following

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

LANES = 32
"""Lists that a model's `perform` carries out side by side; tiles of a panel."""

DRAWS = 16
"""Pieces of a batch drawn side by side."""

TILE = 1000
"""Sites of a tile, about: with their lists, LANES tiles should stay in a core's own cache."""

ALONE = 400_000
"""Balls up to which one thread takes all for one panel, which saves it from dealing words to panels."""

PER_SITE = 4
"""Collisions per site in a chunk: with fewer, ends of lists and put-off collisions cost more, with more, memory."""

GROUP = 16
"""Words whose sites are computed in one go, by vector instructions."""

PAGE = 512
"""Words of a panel come in pages of this many; a multiple of GROUP."""

_1, _32 = np.uint64(1), np.uint64(32)
_LOW, _IN_PAGE = np.uint64(0xFFFFFFFF), np.uint64(PAGE - 1)

# What a thread is about to do
DRAW, OPEN, SIFT, PUT_OFF, AGAIN, ENDS, NEXT = range(7)

# Entries of `Thread.where`: the thread's number, what it is about to do, meetings so far; collisions still to be drawn
# in this call, all those before the chunk, those of the chunk; the panel, and in it the segment (who drew it), the
# page and the place in it; why sifting stopped; the end of the panel that is being merged.
ME, STAGE, MEETING, LEFT, FIRST, SIZE, PANEL, SEGMENT, SHEET, AT, STOP, SIDE = range(12)

# Why sifting stopped: words used up, lists to be carried out before it can go on, nothing but level 2 from here
USED_UP, FULL, CLOSED = range(3)


class Plan(NamedTuple):
    """What never changes.

    Attributes:
        reach: sites of a collision.
        choices: n - reach + 1, the number of left sites.
        threads: that share the work.
        numbered: 1 if the low half of every word is to be its number in the chunk.
        chunk: collisions in a chunk, at most.
        steps: words in a piece of a batch.
        tile: sites in a tile.
        panels: LANES tiles each.
        tile_factor: with tile_shift, divides by tile.
        tile_shift: see `_quotient`.
        panel_factor: with panel_shift, divides by LANES tile.
        panel_shift: see `_quotient`.
        limit: capacity of a tile's list, a power of two.
        strides: polynomials of `steps` times 1, 2, 4, 8, ..., and in the last row DRAWS - 1.
        leaps: polynomials of 1, 2, 4, ... batches.
    """

    reach: int
    choices: np.uint64
    threads: int
    numbered: int
    chunk: int
    steps: int
    tile: int
    panels: int
    tile_factor: np.uint64
    tile_shift: np.uint64
    panel_factor: np.uint64
    panel_shift: np.uint64
    limit: int
    strides: Words
    leaps: Words


class Shared(NamedTuple):
    """What all threads see.

    Attributes:
        counter: of the barrier.
        stream: shape (4,), state after the chunk.
        pool: shape (threads, pages * PAGE), words by panel; a row is written by one thread while it draws.
        link: shape (threads, pages), the page after a page; a panel's first page has the panel's number.
        tips: shape (threads, panels), where in the row the next word of a panel goes.
        outer: shape (panels, any), words of level 2.
        outers: shape (panels,), how many.
        closed: shape (panels,), 1 if all that follow are of level 2, too, ...
        rest: shape (panels, 3), ... from this segment, page and place on.
        seen: shape (panels, 2), how many of `outer` are merged at the left and at the right end.
    """

    counter: Ints
    stream: Words
    pool: Words
    link: Ints
    tips: Ints
    outer: Words
    outers: Ints
    closed: Ints
    rest: Ints
    seen: Ints


class Thread(NamedTuple):
    """What belongs to one thread.

    Attributes:
        where: shape (16,), see ME, STAGE, ...
        stream: shape (4,), state before the chunk.
        lanes: shape (4, DRAWS), states of the pieces of a batch.
        other: shape (4, DRAWS), scratch.
        block: shape (8, DRAWS), scratch.
        batch: shape (DRAWS * steps,).
        site: shape (GROUP,), scratch.
        piece: shape (GROUP,), scratch: panels or tiles.
        words: lists of the tiles, `limit` each, and behind them those of the boundaries.
        begin: shape (LANES,), first of each list, as `perform` wants it.
        end: shape (LANES,), uint64, one past the last.
        low: shape (LANES,), uint64: nothing is cut off in low[t] .. high[t] - 1.
        high: shape (LANES,), uint64.
        late: words of level 1 in the order of the chunk.
        boundary: theirs; boundary b is between tiles b and b + 1.
        counts: shape (2,), words of level 1 and of level 2 so far.
    """

    where: Ints
    stream: Words
    lanes: Words
    other: Words
    block: Words
    batch: Words
    site: Words
    piece: Words
    words: Words
    begin: Ints
    end: Words
    low: Words
    high: Words
    late: Words
    boundary: Ints
    counts: Ints


@njit(inline="always")
def left_site(word: np.uint64, choices: np.uint64) -> np.uint64:
    """High 64 bits of word * choices, choices < 2^32: the left site of a collision, 0 .. choices - 1."""
    factor = choices & _LOW
    return ((word >> _32) * factor + ((word & _LOW) * factor >> _32)) >> _32


@njit(inline="always")
def number(word: np.uint64, choices: np.uint64, index: np.uint64) -> np.uint64:
    """Replace the low half of a word by `index`, keeping its left site.

    The left site changes every 2^64/choices >= 2^33 words, so at most once within a high half; if the new low half is
    on the other side of that place, then the high half next to this one is all on the right side.
    """
    high, left = word >> _32, left_site(word, choices)
    return ((high + left - left_site((high << _32) | index, choices)) << _32) | index


# --- drawing ----------------------------------------------------------------------------------------------------------


@njit(nogil=True, cache=True)
def _draw(plan: Plan, shared: Shared, mine: Thread) -> None:
    """Draw this thread's part of the chunk and deal it to the panels."""
    me, size, threads = mine.where[ME], mine.where[SIZE], plan.threads
    whole = DRAWS * plan.steps
    batches = size // whole
    first, last = batches * me // threads, batches * (me + 1) // threads
    for panel in range(plan.panels):
        shared.tips[me, panel] = panel * PAGE
    free = plan.panels
    _leap(plan, mine, first)
    if first < last:
        _spread(plan, mine)
        for b in range(first, last):
            target = _target(plan, shared, mine)
            _draw_batch(mine.lanes, plan.steps, mine.block, target)
            free = _deal(plan, shared, mine, target, whole, b * whole, free)
            jump(mine.lanes, plan.strides[-1], mine.other)
            mine.lanes[:] = mine.other
        mine.stream[:] = mine.lanes[:, 0]
    if me == threads - 1:
        rest = size - batches * whole
        target = _target(plan, shared, mine)
        a, b, c, d = mine.stream
        for k in range(rest):
            target[k], a, b, c, d = following(a, b, c, d)
        _deal(plan, shared, mine, target, rest, batches * whole, free)
        shared.stream[0], shared.stream[1], shared.stream[2], shared.stream[3] = a, b, c, d


@njit(nogil=True, cache=True)
def _leap(plan: Plan, mine: Thread, batches: int) -> None:
    """Move the thread's stream ahead by a number of batches."""
    for k in range(plan.leaps.shape[0]):
        if (batches >> k) & 1:
            mine.other[:, 0] = mine.stream
            jump(mine.other[:, :1], plan.leaps[k], mine.stream.reshape(4, 1))


@njit(nogil=True, cache=True)
def _spread(plan: Plan, mine: Thread) -> None:
    """Let the pieces of a batch begin at the thread's stream, `steps` words apart: first 2 of them, then 4, ..."""
    if (mine.lanes[:, 0] == mine.stream).all():
        return  # as the batch before has left them
    mine.lanes[:, 0] = mine.stream
    for k in range(plan.strides.shape[0] - 1):
        mine.other[:, : 1 << k] = mine.lanes[:, : 1 << k]
        jump(mine.other[:, : 1 << k], plan.strides[k], mine.lanes[:, 1 << k : 2 << k])


@njit(nogil=True, cache=True)
def _target(plan: Plan, shared: Shared, mine: Thread) -> Words:
    """Where to draw: the only panel, whose pages follow each other, or a place to deal from."""
    me = mine.where[ME]
    return mine.batch if plan.panels > 1 else shared.pool[me, shared.tips[me, 0] :]


@njit(nogil=True, cache=True)
def _draw_batch(lanes: Words, steps: int, block: Words, batch: Words) -> None:
    """Draw `steps` words, a multiple of 8, for every piece, and put the pieces one after the other."""
    for start in range(0, steps, 8):
        for k in range(8):
            for lane in range(DRAWS):
                block[k, lane], lanes[0, lane], lanes[1, lane], lanes[2, lane], lanes[3, lane] = following(
                    lanes[0, lane], lanes[1, lane], lanes[2, lane], lanes[3, lane]
                )
        for lane in range(DRAWS):
            for k in range(8):
                batch[lane * steps + start + k] = block[k, lane]


@njit(nogil=True, cache=True)
def _deal(plan: Plan, shared: Shared, mine: Thread, batch: Words, count: int, index: int, free: int) -> int:
    """Append words to the pages of their panels; one that crosses into the next panel also to that one's.

    Args:
        plan: see `Plan`.
        shared: see `Shared`.
        mine: see `Thread`.
        batch: the words.
        count: how many.
        index: number of the first in the chunk.
        free: the first page that no panel has.

    Returns:
        The first free page afterwards.
    """
    me = mine.where[ME]
    pool, link, tips = shared.pool[me], shared.link[me], shared.tips[me].view(np.uint64)
    choices, factor, shift, piece = plan.choices, plan.panel_factor & _LOW, plan.panel_shift, mine.piece
    width, reach = np.uint64(LANES * plan.tile), np.uint64(plan.reach)
    if plan.numbered:
        for k in range(count):
            batch[k] = number(batch[k], choices, np.uint64(index + k))
    if plan.panels == 1:
        tips[0] += np.uint64(count)
        return free
    for j in range(0, count, GROUP):
        crossing = False
        for i in range(GROUP):  # beyond `count` of old words, which are not used
            left = left_site(batch[j + i], choices)
            panel = (left * factor) >> shift
            piece[i] = panel
            crossing |= left + reach > (panel + _1) * width
        for i in range(min(GROUP, count - j)):
            panel, copies = piece[i], 1
            if crossing and left_site(batch[j + i], choices) + reach > (panel + _1) * width:
                copies = 2
            for _ in range(copies):
                tip = tips[panel]
                pool[tip] = batch[j + i]
                tip += _1
                if tip & _IN_PAGE == 0:
                    link[tip // PAGE - 1] = free
                    tip = np.uint64(free * PAGE)
                    free += 1
                tips[panel] = tip
                panel += _1
    return free


# --- levels 0 and 1: a panel ------------------------------------------------------------------------------------------


@njit(nogil=True, cache=True)
def _open(plan: Plan, shared: Shared, mine: Thread) -> None:
    """Begin with a panel."""
    where, panel = mine.where, mine.where[PANEL]
    where[SEGMENT], where[SHEET], where[AT] = 0, panel, 0
    shared.closed[panel], mine.counts[1] = 0, 0
    shared.seen[panel] = 0
    mine.low[0] = panel * LANES * plan.tile
    mine.high[LANES - 1] = (panel + 1) * LANES * plan.tile
    _renew(plan, mine)


@njit(nogil=True, cache=True)
def _renew(plan: Plan, mine: Thread) -> None:
    """Empty the lists of levels 0 and 1, whose collisions have been carried out; no boundary of level 1 cuts off."""
    start = mine.where[PANEL] * LANES * plan.tile
    mine.counts[0] = 0
    for tile in range(LANES):
        mine.begin[tile] = mine.end[tile] = tile * plan.limit
        if tile > 0:
            mine.low[tile] = mine.high[tile - 1] = start + tile * plan.tile


@njit(nogil=True, cache=True)
def _sift(plan: Plan, shared: Shared, mine: Thread) -> None:
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
    first, sites, full = np.uint64(start), np.uint64(reach), np.uint64(limit - 1)
    for j in range(begin, stop, GROUP):
        for i in range(GROUP):
            left = left_site(pool[j + i], choices)
            site[i] = left
            piece[i] = ((max(left, first) - first) * (factor & _LOW)) >> shift  # tile 0 for one from the panel before
        for i in range(min(GROUP, stop - j)):
            tile, left = piece[i], site[i]
            if low[tile] <= left and left + sites <= high[tile]:
                at = end[tile]
                words[at] = pool[j + i]
                at += _1
                end[tile] = at
                if at & full == 0:
                    return j + i + 1, FULL
            else:
                if not _put_off(
                    np.int64(left), np.int64(left) + reach, np.int64(tile), pool[j + i], start, size, low, high, late,
                    boundary, outer, counts,
                ):  # fmt: skip
                    return j + i, FULL if counts[0] > 0 else CLOSED
                if counts[0] == late.size:
                    return j + i + 1, FULL
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
def _by_boundary(plan: Plan, mine: Thread) -> None:
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
def _merge(plan: Plan, shared: Shared, mine: Thread) -> int:
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


# --- all of it --------------------------------------------------------------------------------------------------------


@njit(nogil=True, cache=True)
def _meet(plan: Plan, shared: Shared, mine: Thread) -> None:
    """Wait for the other threads."""
    mine.where[MEETING] += 1
    wait_for_all(shared.counter, plan.threads, mine.where[MEETING])


@njit(nogil=True, cache=True)
def proceed(plan: Plan, shared: Shared, mine: Thread) -> bool:
    """Go on until there are lists to be carried out: `words`, `begin`, `end` of the thread; False if all is done."""
    where, threads = mine.where, plan.threads
    while True:
        if where[STAGE] == DRAW:
            if where[LEFT] == 0:
                return False
            where[SIZE] = min(plan.chunk, where[LEFT])
            _draw(plan, shared, mine)
            _meet(plan, shared, mine)
            mine.stream[:] = shared.stream
            where[PANEL] = plan.panels * where[ME] // threads - 1
            where[STAGE] = OPEN
        elif where[STAGE] == OPEN:
            where[PANEL] += 1
            if where[PANEL] < plan.panels * (where[ME] + 1) // threads:
                _open(plan, shared, mine)
                where[STAGE] = SIFT
            else:
                _meet(plan, shared, mine)
                where[PANEL], where[SIDE] = (0, 1 - shared.closed[0]) if where[ME] == 0 else (plan.panels, 0)
                where[STAGE] = ENDS
        elif where[STAGE] == SIFT:
            _sift(plan, shared, mine)
            where[STAGE] = PUT_OFF
            return True
        elif where[STAGE] == PUT_OFF:
            where[STAGE] = AGAIN
            if mine.counts[0] > 0:
                _by_boundary(plan, mine)
                return True
        elif where[STAGE] == AGAIN:
            where[STAGE] = OPEN
            if where[STOP] == FULL:
                _renew(plan, mine)
                where[STAGE] = SIFT
        elif where[STAGE] == ENDS:
            if _merge(plan, shared, mine) > 0:
                return True
            if shared.closed.any():  # the others may not draw, since words are taken from the pool
                _meet(plan, shared, mine)
            where[STAGE] = NEXT
        else:
            where[LEFT] -= where[SIZE]
            where[FIRST] += where[SIZE]
            where[STAGE] = DRAW


@cache
def _driver(perform: Callable[..., Any]) -> Callable[..., None]:
    """Compile what a thread does, for a model; not cached on disk, since `perform` is not known there, but short."""

    @njit(nogil=True)
    def drive(v: NDArray[np.float64], plan: Plan, shared: Shared, mine: Thread, room: tuple[Any, ...]) -> None:
        while proceed(plan, shared, mine):
            perform(v, plan.choices, mine.words, mine.begin, mine.end.view(np.int64), mine.where[FIRST], room)

    return drive


def _quotient(divisor: int, largest: int) -> tuple[np.uint64, np.uint64]:
    """Factor and shift with k // divisor == (k * factor) >> shift for k = 0 .. largest < 2^31; factor < 2^32."""
    shift = (largest * divisor).bit_length()
    return np.uint64(-(-(1 << shift) // divisor)), np.uint64(shift)


class Tiles:
    """Advances one replica at a time, on several threads; made once, since what it keeps is large.

    Attributes:
        rooms: a workspace for every thread, as the model made it.
    """

    def __init__(
        self,
        balls: int,
        reach: int,
        perform: Callable[..., Any],
        workspace: Callable[[], tuple[Any, ...]],
        *,
        threads: int = 1,
        numbered: bool = False,
        tile: int | None = None,
        chunk: int | None = None,
        steps: int = 1024,
        limit: int = 1024,
        late: int = 1024,
        outer: int = 512,
    ) -> None:
        """Lay out tiles. All arguments after `numbered` are for tests: no result depends on them.

        Args:
            balls: n, from `reach` to 2^31 - 1.
            reach: neighbouring sites that a collision touches.
            perform: perform(v, choices, words, begin, end, first, room), compiled by numba with nogil: carries out the
                collisions words[begin[l]:end[l]] in order for each of the LANES lists l, which have no common site;
                `first` is the number of collisions before the chunk, `room` the thread's workspace.
            workspace: makes the last argument of `perform`.
            threads: that share the work. The caller's is one of them.
            numbered: replace the low half of every word by its number in the chunk, from 0, which does not change its
                left site: for models that must know, and do not need the low half.
            tile: sites in a tile, at least 2 reach.
            chunk: collisions in a chunk.
            steps: words in a piece of a batch, a multiple of 16.
            limit: words in the list of a tile, a power of two.
            late: words of level 1 in a panel.
            outer: words of level 2 in a panel before it is closed.
        """
        if not reach <= balls < 2**31:
            raise ValueError(f"balls = {balls}: a replica in tiles has at least {reach} and fewer than 2^31 balls")
        if threads < 1:
            raise ValueError(f"threads = {threads}: at least one is needed")
        if tile is None:
            panels = 1 if threads == 1 and balls <= ALONE else threads * -(-balls // (threads * LANES * TILE))
            tile = max(2 * reach, -(-balls // (LANES * panels)))
        panels = -(-balls // (LANES * tile))
        whole = DRAWS * steps
        chunk = whole * max(1, round(PER_SITE * balls / whole)) if chunk is None else chunk
        assert tile >= 2 * reach and chunk < 2**32 and steps % GROUP == 0 and limit & (limit - 1) == 0
        self.balls = balls
        self.plan = Plan(
            reach, np.uint64(balls - reach + 1), threads, int(numbered), chunk, steps, tile, panels,
            *_quotient(tile, balls), *_quotient(LANES * tile, balls), limit,
            np.stack([polynomial(steps * d) for d in (*(1 << k for k in range(DRAWS.bit_length() - 1)), DRAWS - 1)]),
            np.stack([polynomial(whole << k) for k in range((chunk // whole).bit_length())] or [polynomial(0)]),
        )  # fmt: skip
        # A thread draws a share of the batches and, the last one, what is left; each word may be in two panels.
        share = (-(-chunk // (threads * whole)) + 1) * whole
        pages = panels + 2 * share // PAGE + 2
        self.shared = Shared(
            np.zeros(8, np.int64), np.zeros(4, np.uint64), np.empty((threads, pages * PAGE), np.uint64),
            np.tile(np.arange(1, pages + 1), (threads, 1)), np.zeros((threads, panels), np.int64),
            np.empty((panels, outer), np.uint64), np.zeros(panels, np.int64), np.zeros(panels, np.int64),
            np.zeros((panels, 3), np.int64), np.zeros((panels, 2), np.int64),
        )  # fmt: skip
        self.threads = [_thread(me, self.plan, late) for me in range(threads)]
        self.rooms = [workspace() for _ in range(threads)]
        self._drive = _driver(perform)
        self._pool = ThreadPoolExecutor(threads - 1) if threads > 1 else None

    def advance(self, v: NDArray[np.float64], stream: Words, collisions: int, done: int = 0) -> None:
        """Let the replica go through `collisions` collisions; a run cut in two anywhere gives the same.

        Args:
            v: velocities, and behind them the entries that `perform` has to spare, changed in place.
            stream: shape (4,), advanced by `collisions`.
            collisions: how many.
            done: collisions before, which `first` of `perform` counts from.
        """
        if v.ndim != 1 or v.shape[0] < self.balls or not v.flags.c_contiguous:
            raise ValueError(f"velocities have shape {v.shape}: one contiguous row of {self.balls} and more is needed")
        for mine in self.threads:
            mine.where[LEFT], mine.where[FIRST], mine.stream[:] = collisions, done, stream
        tasks = [(v, self.plan, self.shared, mine, room) for mine, room in zip(self.threads, self.rooms, strict=True)]
        others = [self._pool.submit(self._drive, *task) for task in tasks[1:]] if self._pool else []
        self._drive(*tasks[0])
        for other in others:
            other.result()
        stream[:] = self.threads[0].stream


def _thread(me: int, plan: Plan, late: int) -> Thread:
    """What belongs to thread `me`."""
    where = np.zeros(16, np.int64)
    where[ME] = me
    words, ints = (lambda *shape: np.zeros(shape, np.uint64)), (lambda *shape: np.zeros(shape, np.int64))
    return Thread(
        where, words(4), words(4, DRAWS), words(4, DRAWS), words(8, DRAWS), words(DRAWS * plan.steps + GROUP),
        words(GROUP), words(GROUP), words(LANES * plan.limit + late), ints(LANES), words(LANES), words(LANES),
        words(LANES), words(late), ints(late), ints(2),
    )  # fmt: skip
