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
 - so of two overlapping collisions the later one never has the lower level: it would lie within an interval from which
   the sites of the earlier one were taken; and at one level they are in the same list, where they keep their order;
 - lists of one level have no common site and may be carried out side by side, in the lanes of a vector, by threads.
First all lists of level 0, then those of level 1, then those of level 2: that keeps the order of all overlapping pairs.

When a list is full, and when a collision touches what was cut off at both ends of a tile, the lists of levels 0 and 1
are carried out there and then, and the boundaries of level 1 begin anew: a later collision that is not at level 2
overlaps with none that was put off to level 2 before, so it may come before those and after all others. If a collision
meets what was cut off at an end of the panel and still belongs to no single boundary, the panel is closed: that
collision and all that follow have level 2, in one list. A collision that crosses from one panel into the next is in the
lists of both. The lists of level 2 are all in the order of the chunk, so they fit together: they are merged at the
collisions that two of them share, and carried out once.

**Drawing.** A stream is linear, so `jump` leads to any word of it. A batch is drawn in DRAWS pieces side by side, each
piece from its own place in the stream, and threads draw different batches of a chunk.

**Threads** share batches and panels and meet twice in a chunk. Nothing above depends on how many there are.

**Memory**: 8 n bytes of velocities, 32 n of words (address space for twice that), and about 1 MB a thread.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kinlim.stochastic.copying import put
from kinlim.stochastic.jump import polynomial
from kinlim.stochastic.pinned.barrier import wait_for_all
from kinlim.stochastic.pinned.drawing import draw
from kinlim.stochastic.pinned.layout import (
    DRAWS,
    FIRST,
    FULL,
    GROUP,
    LEFT,
    ME,
    MEETING,
    PAGE,
    PANEL,
    SIDE,
    SIZE,
    SPARE,
    STAGE,
    STOP,
    Plan,
    Shared,
    Thread,
    Words,
)
from kinlim.stochastic.pinned.levels import merge_ends, open_panel, renew, sift, sort_by_boundary
from kinlim.stochastic.pinned.redistribute import LANES

TILE = 1000
"""Sites of a tile, about: with their lists, LANES tiles should stay in a core's own cache."""

ALONE = 400_000
"""Balls up to which one thread takes all for one panel, which saves it from dealing words to panels."""

BALLS_PER_THREAD = 5000
"""With fewer, a second thread does not pay: tiles become short, and much is put off."""

PER_SITE = 4
"""Collisions per site in a chunk: with fewer, ends of lists and put-off collisions cost more, with more, memory."""

# What a thread is about to do
DRAW, OPEN, SIFT, PUT_OFF, AGAIN, ENDS, NEXT = range(7)


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
            draw(plan, shared, mine)
            _meet(plan, shared, mine)
            put(mine.stream, shared.stream)
            where[PANEL] = plan.panels * where[ME] // threads - 1
            where[STAGE] = OPEN
        elif where[STAGE] == OPEN:
            where[PANEL] += 1
            if where[PANEL] < plan.panels * (where[ME] + 1) // threads:
                open_panel(plan, shared, mine)
                where[STAGE] = SIFT
            else:
                _meet(plan, shared, mine)
                where[PANEL], where[SIDE] = 0 if where[ME] == 0 else plan.panels, 0
                where[STAGE] = ENDS
        elif where[STAGE] == SIFT:
            sift(plan, shared, mine)
            where[STAGE] = PUT_OFF
            return True
        elif where[STAGE] == PUT_OFF:
            where[STAGE] = AGAIN
            if mine.counts[0] > 0:
                sort_by_boundary(plan, mine)
                return True
        elif where[STAGE] == AGAIN:
            where[STAGE] = OPEN
            if where[STOP] == FULL:
                renew(plan, mine)
                where[STAGE] = SIFT
        elif where[STAGE] == ENDS:
            if merge_ends(plan, shared, mine) > 0:
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
            spare = np.int64(plan.choices) + plan.reach - 1 + SPARE * mine.where[ME]
            lists = mine.words, mine.begin, mine.end.view(np.int64)
            perform(v, plan.choices, *lists, mine.where[FIRST], spare, room)

    return drive


def _quotient(divisor: int, largest: int) -> tuple[np.uint64, np.uint64]:
    """Factor and shift with k // divisor == (k * factor) >> shift for k = 0 .. largest < 2^31; factor < 2^32."""
    shift = (largest * divisor).bit_length()
    return np.uint64(-(-(1 << shift) // divisor)), np.uint64(shift)


class Tiles:
    """Advances one replica at a time, on several threads; made once, since what it keeps is large.

    Attributes:
        length: of the array of velocities.
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
        limit: int = 1032,
        late: int = 1024,
        outer: int = 512,
    ) -> None:
        """Lay out tiles. All arguments after `numbered` are for tests: no result depends on them.

        Args:
            balls: n, from `reach` to 2^31 - 1.
            reach: neighbouring sites that a collision touches.
            perform: perform(v, choices, words, begin, end, first, spare, room), compiled by numba with nogil: carries
                out the collisions words[begin[l]:end[l]] in order for each of the LANES lists l, which have no common
                site; `first` is the number of collisions before the chunk; v[spare:spare + SPARE] is for lanes with
                nothing left to do; `room` is the thread's workspace.
            workspace: makes the last argument of `perform`.
            threads: that share the work, if there are enough balls for them. The caller's is one of them.
            numbered: replace the low half of every word by its number in the chunk, from 0, which does not change its
                left site: for models that must know, and do not need the low half.
            tile: sites in a tile, at least 2 reach.
            chunk: collisions in a chunk.
            steps: words in a piece of a batch, a multiple of 16.
            limit: words in the list of a tile, at least GROUP; an odd number of cache lines, lest all lists share one
                set of the cache.
            late: words of level 1 in a panel.
            outer: words of level 2 in a panel before it is closed.
        """
        if not reach <= balls < 2**31:
            raise ValueError(f"balls = {balls}: a replica in tiles has at least {reach} and fewer than 2^31 balls")
        if threads < 1:
            raise ValueError(f"threads = {threads}: at least one is needed")
        if tile is None:
            threads = max(1, min(threads, balls // BALLS_PER_THREAD))
            panels = 1 if threads == 1 and balls <= ALONE else threads * -(-balls // (threads * LANES * TILE))
            tile = max(2 * reach, -(-balls // (LANES * panels)))
        panels = -(-balls // (LANES * tile))
        whole = DRAWS * steps
        chunk = whole * max(1, round(PER_SITE * balls / whole)) if chunk is None else chunk
        assert tile >= 2 * reach
        assert chunk < 2**32
        assert steps % GROUP == 0
        assert limit >= GROUP
        self.length = balls + SPARE * threads
        self.plan = Plan(
            reach, np.uint64(balls - reach + 1), threads, int(numbered), chunk, steps, tile, panels,
            *_quotient(tile, balls), *_quotient(LANES * tile, balls), limit,
            np.stack([polynomial(steps * d) for d in (*(1 << k for k in range(DRAWS.bit_length() - 1)), DRAWS - 1)]),
            np.stack([polynomial(whole << k) for k in range((chunk // whole).bit_length())] or [polynomial(0)]),
        )  # fmt: skip
        # A thread draws a share of the batches and, the last one, what is left; each word may be in two panels.
        share = (-(-chunk // (threads * whole)) + 1) * whole
        pages = panels + 2 * share // PAGE + 3
        self.shared = Shared(
            np.zeros(8, np.int64), np.zeros(4, np.uint64), np.empty((threads, pages * PAGE), np.uint64),
            np.tile(np.arange(1, pages + 1), (threads, 1)), np.zeros((threads, panels + 16), np.int64),
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
            v: velocities, and behind them SPARE entries for each thread, shape (length,), changed in place.
            stream: shape (4,), advanced by `collisions`.
            collisions: how many.
            done: collisions before, which `first` of `perform` counts from.
        """
        if v.shape != (self.length,) or not v.flags.c_contiguous:
            raise ValueError(f"velocities have shape {v.shape}: one contiguous row of {self.length} is needed")
        for mine in self.threads:
            mine.where[LEFT], mine.where[FIRST], mine.stream[:] = collisions, done, stream
        tasks = [(v, self.plan, self.shared, mine, room) for mine, room in zip(self.threads, self.rooms, strict=True)]
        others = [self._pool.submit(self._drive, *task) for task in tasks[1:]] if self._pool else []
        self._drive(*tasks[0])
        for other in others:
            other.result()
        stream[:] = self.threads[0].stream


def _apart(kind: type, *shape: int) -> NDArray[Any]:
    """Zeros with 128 bytes to spare on both sides, so that no other thread writes to their cache lines."""
    size = math.prod(shape)
    return np.zeros(size + 32, kind)[16 : 16 + size].reshape(shape)


def _thread(me: int, plan: Plan, late: int) -> Thread:
    """What belongs to thread `me`."""
    words, ints = partial(_apart, np.uint64), partial(_apart, np.int64)
    where = ints(16)
    where[ME] = me
    return Thread(
        where, words(4), words(4, DRAWS), words(4, DRAWS), words(8, DRAWS), words(DRAWS * plan.steps + GROUP),
        words(GROUP), words(GROUP), words(LANES * plan.limit + late), ints(LANES), words(LANES), words(LANES),
        words(LANES), words(late), ints(late), ints(2),
    )  # fmt: skip
