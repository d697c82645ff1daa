"""What the parts of a replica in tiles know of each other: see `kinlim.stochastic.pinned.tiles`.

Named tuples of numbers and arrays, which compiled functions can take apart. Numba does not notice that a constant has
changed in a file that others import from: after a change here, touch `drawing.py`, `levels.py` and `tiles.py`.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

DRAWS = 16
"""Pieces of a batch drawn side by side."""

GROUP = 16
"""Words whose sites are computed in one go, by vector instructions."""

PAGE = 512
"""Words of a panel come in pages of this many; a multiple of GROUP."""

SPARE = 16
"""Entries behind the velocities for each thread, where its lanes go that have nothing left to do: 128 bytes, since
threads that wrote to one cache line would wait for each other."""

LOW, _32 = np.uint64(0xFFFFFFFF), np.uint64(32)

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
        limit: capacity of a tile's list.
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
        tips: shape (threads, panels + 16), where in the row the next word of a panel goes; so wide that what threads
            write lies apart.
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
    factor = choices & LOW
    return ((word >> _32) * factor + ((word & LOW) * factor >> _32)) >> _32


@njit(inline="always")
def number(word: np.uint64, choices: np.uint64, index: np.uint64) -> np.uint64:
    """Replace the low half of a word by `index`, keeping its left site.

    The left site changes every 2^64/choices >= 2^33 words, so at most once within a high half; if the new low half is
    on the other side of that place, then the high half next to this one is all on the right side.
    """
    high, left = word >> _32, left_site(word, choices)
    return ((high + left - left_site((high << _32) | index, choices)) << _32) | index
