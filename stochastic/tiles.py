"""One replica of many balls: its collisions reordered so that they are fast, with the same bits as one after the other.

TODO docstring
"""

from collections.abc import Callable, Sequence
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
DRAWS = 16
GROUP = 16
PAGE = 512
OUTER = 1024

_1, _32 = np.uint64(1), np.uint64(32)
_LOW, _PAGE = np.uint64(0xFFFFFFFF), np.uint64(PAGE - 1)

DRAW, OPEN, SIFT, LATE, AGAIN, TAIL, NEXT = range(7)

# entries of `Thread.where`
ME, STAGE, MEETING, LEFT, FIRST, SIZE, PANEL, SEGMENT, SHEET, AT, STOP, LATES, SIDE = range(13)

ON, FULL, CLOSED = range(3)


class Plan(NamedTuple):
    balls: int
    reach: int
    choices: np.uint64
    threads: int
    numbered: int
    chunk: int
    steps: int
    tile: int
    panels: int
    tile_factor: np.uint64
    panel_factor: np.uint64
    tile_shift: np.uint64
    panel_shift: np.uint64
    limit: int
    late_limit: int
    outer_limit: int
    strides: Words
    leaps: Words


class Shared(NamedTuple):
    counter: Ints
    stream: Words
    pool: Words
    following: Ints
    tips: Ints
    outer: Words
    outers: Ints
    closed: Ints
    seen: Ints
    rest: Ints


class Thread(NamedTuple):
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
    """High 64 bits of word * choices, choices < 2^32."""
    factor = choices & _LOW
    return ((word >> _32) * factor + ((word & _LOW) * factor >> _32)) >> _32


@njit(inline="always")
def number(word: np.uint64, choices: np.uint64, index: np.uint64) -> np.uint64:
    """Replace the low half of a word by `index` and keep its left site."""
    high = word >> _32
    left = left_site(word, choices)
    return ((high + left - left_site((high << _32) | index, choices)) << _32) | index


# --- drawing ----------------------------------------------------------------------------------------------------------


@njit(nogil=True, cache=True)
def _draw_batch(lanes: Words, steps: int, block: Words, batch: Words) -> None:
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
def _spread(plan: Plan, mine: Thread) -> None:
    """Put lane l of the drawing `steps` l words behind the stream."""
    if (mine.lanes[:, 0] == mine.stream).all():
        return  # they are still there
    mine.lanes[:, 0] = mine.stream
    ready = 1
    for k in range(plan.strides.shape[0] - 1):
        mine.other[:, :ready] = mine.lanes[:, :ready]
        jump(mine.other[:, :ready], plan.strides[k], mine.lanes[:, ready : 2 * ready])
        ready *= 2


@njit(nogil=True, cache=True)
def _leap(plan: Plan, mine: Thread, batches: int) -> None:
    """Move the stream of a thread by a number of batches."""
    k = 0
    while batches >> k:
        if (batches >> k) & 1:
            mine.other[:, 0] = mine.stream
            jump(mine.other[:, :1], plan.leaps[k], mine.stream.reshape(4, 1))
        k += 1


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
def _target(plan: Plan, shared: Shared, mine: Thread) -> Words:
    """Where to draw: the only panel, which has all pages one after the other, or somewhere to deal from."""
    if plan.panels > 1:
        return mine.batch
    me = mine.where[ME]
    return shared.pool[me, shared.tips[me, 0] :]


@njit(nogil=True, cache=True)
def _deal(plan: Plan, shared: Shared, mine: Thread, batch: Words, count: int, index: int, free: int) -> int:
    """Append the words of a batch to the lists of their panels; a word that leaves its panel also to the next list."""
    me = mine.where[ME]
    pool, link, tips = shared.pool[me], shared.following[me], shared.tips[me].view(np.uint64)
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
        for i in range(GROUP):
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
                if tip & _PAGE == 0:
                    link[tip // PAGE - 1] = free
                    tip = np.uint64(free * PAGE)
                    free += 1
                tips[panel] = tip
                panel += _1
    return free


# --- sifting ----------------------------------------------------------------------------------------------------------


@njit(nogil=True, cache=True)
def _open(plan: Plan, shared: Shared, mine: Thread) -> None:
    """Begin with a panel."""
    where, panel = mine.where, mine.where[PANEL]
    where[SEGMENT], where[SHEET], where[AT], where[STOP] = 0, panel, 0, ON
    shared.closed[panel], mine.counts[1] = 0, 0
    shared.seen[panel] = 0
    start = panel * LANES * plan.tile
    mine.low[0] = start
    mine.high[LANES - 1] = start + LANES * plan.tile
    _renew(plan, mine)


@njit(nogil=True, cache=True)
def _renew(plan: Plan, mine: Thread) -> None:
    """Empty lists, and nothing blocked inside the panel."""
    start = mine.where[PANEL] * LANES * plan.tile
    mine.counts[0] = 0
    for tile in range(LANES):
        mine.begin[tile] = mine.end[tile] = tile * plan.limit
        if tile > 0:
            mine.low[tile] = mine.high[tile - 1] = start + tile * plan.tile


@njit(nogil=True, cache=True)
def _sift(plan: Plan, shared: Shared, mine: Thread) -> None:
    """Go on through the words of the panel, till the end or till something is full."""
    where, panel = mine.where, mine.where[PANEL]
    where[STOP] = ON
    while where[SEGMENT] < plan.threads:
        segment, page = where[SEGMENT], where[SHEET]
        tip = shared.tips[segment, panel]
        last = tip // PAGE == page
        base = page * PAGE
        stop = tip if last else base + PAGE
        at, where[STOP] = _sift_page(
            shared.pool[segment], base + where[AT], stop, plan.choices, plan.reach, plan.tile, plan.tile_factor,
            plan.tile_shift, plan.limit, panel * LANES * plan.tile, mine.site, mine.piece, mine.words, mine.end,
            mine.low, mine.high, mine.late, mine.boundary, shared.outer[panel], mine.counts,
        )
        where[AT] = at - base
        if where[STOP] != ON:
            return
        where[AT] = 0
        if last:
            where[SEGMENT], where[SHEET] = segment + 1, panel
        else:
            where[SHEET] = shared.following[segment, page]


@njit(nogil=True, cache=True)
def _sift_page(
    pool: Words, begin: int, stop: int, choices: np.uint64, reach: int, size: int, factor: np.uint64,
    shift: np.uint64, limit: int, start: int, site: Words, piece: Words, words: Words, end: Words, low: Words,
    high: Words, late: Words, boundary: Ints, outer: Words, counts: Ints,
) -> tuple[int, int]:
    """Sort the words pool[begin:stop] into the lists of the tiles or put them off; returns how far it came and why."""
    first, wide, full = np.uint64(start), np.uint64(reach), np.uint64(limit - 1)
    for j in range(begin, stop, GROUP):
        for i in range(GROUP):
            left = left_site(pool[j + i], choices)
            site[i] = left
            piece[i] = ((max(left, first) - first) * (factor & _LOW)) >> shift
        for i in range(min(GROUP, stop - j)):
            tile, left = piece[i], site[i]
            if low[tile] <= left and left + wide <= high[tile]:
                at = end[tile]
                words[at] = pool[j + i]
                at += _1
                end[tile] = at
                if at & full == 0:
                    return j + i + 1, FULL
            else:
                done = _put_off(
                    np.int64(left), np.int64(left) + reach, np.int64(tile), pool[j + i], start, size, low, high, late,
                    boundary, outer, counts
                )
                if not done:
                    return j + i, FULL if counts[0] > 0 else CLOSED
                if counts[0] == late.size:
                    return j + i + 1, FULL
    return stop, ON


@njit(nogil=True, cache=True)
def _put_off(
    left: int, right: int, tile: int, word: np.uint64, start: int, size: int, low: Words, high: Words, late: Words,
    boundary: Ints, outer: Words, counts: Ints,
) -> bool:
    """Put off a word that leaves its tile or touches a site that is blocked; False if that is not possible."""
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
def _late(plan: Plan, mine: Thread) -> None:
    """Sort what was put off by tile boundary, behind the lists of the tiles."""
    count, begin, end = mine.counts[0], mine.begin, mine.end.view(np.int64)
    end[:] = 0
    for k in range(count):
        end[mine.boundary[k]] += 1
    at = LANES * plan.limit
    for boundary in range(LANES):
        begin[boundary], at = at, at + end[boundary]
        end[boundary] = begin[boundary]
    for k in range(count):
        boundary = mine.boundary[k]
        mine.words[end[boundary]] = mine.late[k]
        end[boundary] += 1


# --- the tail ---------------------------------------------------------------------------------------------------------


@njit(nogil=True, cache=True)
def _peek(plan: Plan, shared: Shared, panel: int, side: int) -> tuple[bool, np.uint64]:
    """Next word that a panel has put off: at its left or right end, or all if it is closed."""
    closed, middle = shared.closed[panel], np.uint64((panel * LANES + 1) * plan.tile)
    while shared.seen[panel, side] < shared.outers[panel]:
        word = shared.outer[panel, shared.seen[panel, side]]
        if closed or (left_site(word, plan.choices) < middle) == (side == 0):
            return True, word
        shared.seen[panel, side] += 1
    if not closed:
        return False, np.uint64(0)
    rest = shared.rest[panel]
    while rest[0] < plan.threads:
        tip = shared.tips[rest[0], panel]
        last = tip // PAGE == rest[1]
        if rest[2] < (tip % PAGE if last else PAGE):
            return True, shared.pool[rest[0], rest[1] * PAGE + rest[2]]
        rest[2] = 0
        if last:
            rest[0] += 1
            rest[1] = panel
        else:
            rest[1] = shared.following[rest[0], rest[1]]
    return False, np.uint64(0)


@njit(inline="always")
def _pop(shared: Shared, panel: int, side: int) -> None:
    """Remove what `_peek` found."""
    if shared.seen[panel, side] < shared.outers[panel]:
        shared.seen[panel, side] += 1
    else:
        shared.rest[panel, 2] += 1


@njit(nogil=True, cache=True)
def _tail(plan: Plan, shared: Shared, mine: Thread) -> int:
    """Merge what panels have put off."""
    where, words, begin, end = mine.where, mine.words, mine.begin, mine.end.view(np.int64)
    panel, side = where[PANEL], where[SIDE]
    width, room = LANES * plan.tile, LANES * plan.limit
    lane = count = 0
    begin[:] = 0
    end[:] = 0
    while lane < LANES and count < room:
        found, word = _peek(plan, shared, panel, side)
        if not found:
            if side == 0 and not shared.closed[panel]:
                side = 1
                if end[lane] > begin[lane]:
                    lane += 1
                    if lane < LANES:
                        begin[lane] = end[lane] = count
            else:
                panel += 1
                side = 0
                if panel == plan.panels:
                    break
            continue
        left = np.int64(left_site(word, plan.choices))
        if left + plan.reach > (panel + 1) * width:
            panel += 1
            side = 0
            continue
        _pop(shared, panel, side)
        if left < panel * width:
            panel -= 1
            side = 0 if shared.closed[panel] else 1
            _pop(shared, panel, side)
        words[count] = word
        count += 1
        end[lane] = count
    where[PANEL], where[SIDE] = panel, side
    return count


# --- all --------------------------------------------------------------------------------------------------------------


@njit(nogil=True, cache=True)
def _meet(plan: Plan, shared: Shared, mine: Thread) -> None:
    mine.where[MEETING] += 1
    wait_for_all(shared.counter, plan.threads, mine.where[MEETING])


@njit(nogil=True, cache=True)
def proceed(plan: Plan, shared: Shared, mine: Thread) -> bool:
    """Go on till there are lists to be carried out."""
    where = mine.where
    me, threads = where[ME], plan.threads
    while True:
        if where[STAGE] == DRAW:
            if where[LEFT] == 0:
                return False
            where[SIZE] = min(plan.chunk, where[LEFT])
            _draw(plan, shared, mine)
            _meet(plan, shared, mine)
            mine.stream[:] = shared.stream
            where[PANEL] = plan.panels * me // threads - 1
            where[STAGE] = OPEN
        elif where[STAGE] == OPEN:
            where[PANEL] += 1
            if where[PANEL] < plan.panels * (me + 1) // threads:
                _open(plan, shared, mine)
                where[STAGE] = SIFT
            else:
                _meet(plan, shared, mine)
                where[PANEL], where[SIDE] = 0, 0
                where[STAGE] = TAIL
                if me > 0:
                    if shared.closed.any():
                        _meet(plan, shared, mine)
                    where[STAGE] = NEXT
        elif where[STAGE] == SIFT:
            _sift(plan, shared, mine)
            if where[STOP] == CLOSED:
                shared.closed[where[PANEL]] = 1
                rest = shared.rest[where[PANEL]]
                rest[0], rest[1], rest[2] = where[SEGMENT], where[SHEET], where[AT]
            where[STAGE] = LATE
            return True
        elif where[STAGE] == LATE:
            where[STAGE] = AGAIN
            if mine.counts[0] > 0:
                _late(plan, mine)
                return True
        elif where[STAGE] == AGAIN:
            if where[STOP] == FULL:
                _renew(plan, mine)
                where[STAGE] = SIFT
            else:
                shared.outers[where[PANEL]] = mine.counts[1]
                where[STAGE] = OPEN
        elif where[STAGE] == TAIL:
            if where[PANEL] < plan.panels and _tail(plan, shared, mine) > 0:
                return True
            if where[PANEL] == plan.panels:
                if shared.closed.any():
                    _meet(plan, shared, mine)
                where[STAGE] = NEXT
        else:
            where[LEFT] -= where[SIZE]
            where[FIRST] += where[SIZE]
            where[STAGE] = DRAW


@cache
def driver(perform: Callable[..., Any]) -> Callable[..., None]:
    """Compile the loop around a model's `perform`."""

    @njit(nogil=True)
    def drive(v: Any, plan: Plan, shared: Shared, mine: Thread, room: Any) -> None:
        while proceed(plan, shared, mine):
            perform(v, plan.choices, mine.words, mine.begin, mine.end.view(np.int64), mine.where[FIRST], room)

    return drive


def _quotient(divisor: int, largest: int) -> tuple[np.uint64, np.uint64]:
    """Factor and shift with k // divisor == (k * factor) >> shift for k <= largest < 2^31."""
    shift = max(largest * divisor, 1).bit_length()
    return np.uint64(-(-(1 << shift) // divisor)), np.uint64(shift)


class Tiles:
    """One replica."""

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
        limit: int = 2048,
        late: int = 8192,
        outer: int = OUTER,
    ) -> None:
        if tile is None:
            panels = threads * -(-balls // (LANES * 1000 * threads))
            tile = max(2 * reach, -(-balls // (LANES * panels)))
        panels = -(-balls // (LANES * tile))
        whole = DRAWS * steps
        chunk = whole * max(1, round(2 * balls / whole)) if chunk is None else chunk
        share = -(-chunk // (threads * whole)) * whole + whole
        pages = panels + 2 * share // PAGE + 1
        self.plan = Plan(
            balls, reach, np.uint64(balls - reach + 1), threads, int(numbered), chunk, steps, tile, panels,
            *(x for pair in zip(_quotient(tile, balls), _quotient(LANES * tile, balls)) for x in pair),
            limit, late, outer,
            np.stack([polynomial(steps * d) for d in (1, 2, 4, 8, DRAWS - 1)]),
            np.stack([polynomial(whole << k) for k in range(20)]),
        )
        self.shared = Shared(
            np.zeros(16, np.int64), np.zeros(4, np.uint64), np.empty((threads, pages * PAGE), np.uint64),
            np.tile(np.arange(1, pages + 1), (threads, 1)), np.empty((threads, panels), np.int64),
            np.empty((panels, outer), np.uint64), np.zeros(panels, np.int64), np.zeros(panels, np.int64),
            np.zeros((panels, 2), np.int64), np.zeros((panels, 3), np.int64),
        )
        self.threads = [self._thread(me) for me in range(threads)]
        self.rooms = [workspace() for _ in range(threads)]
        self.drive = driver(perform)
        self.pool = ThreadPoolExecutor(threads - 1) if threads > 1 else None

    def _thread(self, me: int) -> Thread:
        plan = self.plan
        where = np.zeros(32, np.int64)
        where[ME] = me
        return Thread(
            where, np.zeros(4, np.uint64), np.zeros((4, DRAWS), np.uint64), np.zeros((4, DRAWS), np.uint64),
            np.zeros((8, DRAWS), np.uint64), np.zeros(DRAWS * plan.steps + GROUP, np.uint64), np.zeros(GROUP, np.uint64), np.zeros(GROUP, np.uint64),
            np.zeros(LANES * plan.limit + plan.late_limit, np.uint64), np.zeros(LANES, np.int64),
            np.zeros(LANES, np.uint64), np.zeros(LANES, np.uint64), np.zeros(LANES, np.uint64),
            np.zeros(plan.late_limit, np.uint64), np.zeros(plan.late_limit, np.int64), np.zeros(2, np.int64),
        )

    def advance(self, v: NDArray[np.float64], state: Words, collisions: int, done: int = 0) -> None:
        for mine in self.threads:
            mine.where[LEFT] = collisions
            mine.where[FIRST] = done
            mine.stream[:] = state
        if self.pool is not None:
            futures = [self.pool.submit(self.drive, v, self.plan, self.shared, mine, room) for mine, room in zip(self.threads[1:], self.rooms[1:])]
        self.drive(v, self.plan, self.shared, self.threads[0], self.rooms[0])
        if self.pool is not None:
            for f in futures:
                f.result()
        state[:] = self.threads[0].stream
