"""Words for a replica in tiles, drawn side by side and dealt to panels: see `kinlim.stochastic.pinned.tiles`."""

import numpy as np
from numba import njit

from kinlim.stochastic.copying import put
from kinlim.stochastic.jump import jump
from kinlim.stochastic.pinned.layout import (
    DRAWS,
    GROUP,
    LOW,
    ME,
    PAGE,
    SIZE,
    Plan,
    Shared,
    Thread,
    Words,
    left_site,
    number,
)
from kinlim.stochastic.pinned.redistribute import LANES
from kinlim.stochastic.streams import following

_1, _IN_PAGE = np.uint64(1), np.uint64(PAGE - 1)


@njit(nogil=True, cache=True)
def draw(plan: Plan, shared: Shared, mine: Thread) -> None:
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
            put(mine.lanes, mine.other)
        put(mine.stream, mine.lanes[:, 0])
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
            put(mine.other[:, 0], mine.stream)
            jump(mine.other[:, :1], plan.leaps[k], mine.stream.reshape(4, 1))


@njit(nogil=True, cache=True)
def _spread(plan: Plan, mine: Thread) -> None:
    """Let the pieces of a batch begin at the thread's stream, `steps` words apart: first 2 of them, then 4, ..."""
    if (mine.lanes[:, 0] == mine.stream).all():
        return  # as the batch before has left them
    put(mine.lanes[:, 0], mine.stream)
    for k in range(plan.strides.shape[0] - 1):
        put(mine.other[:, : 1 << k], mine.lanes[:, : 1 << k])
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
    choices, factor, shift, piece = plan.choices, plan.panel_factor & LOW, plan.panel_shift, mine.piece
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
