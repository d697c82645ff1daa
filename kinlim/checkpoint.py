"""What a stage of a run needs to go on after a stop, as bytes that tell whether they are whole.

A line of JSON with version, length and SHA-256 of the rest; a line of JSON with the numbers and the names, types and
shapes of the arrays; the arrays, little-endian, one after another. (NetCDF would do, and takes 40 times as long to
write: too long for something that is written several times a second.)
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from kinlim.errors import InputError

VERSION = 6


class Named(dict[str, Any]):
    """What a checkpoint holds, by name; `where` says which one."""

    def __init__(self, there: Mapping[str, Any], where: str = "the checkpoint") -> None:
        """Of a mapping."""
        super().__init__(there)
        self.where = where

    def __missing__(self, name: str) -> NoReturn:
        """Refuse a checkpoint that lacks something.

        Raises:
            InputError: always.
        """
        raise InputError(f"{self.where}: has no {name}, so no kinlim has written it; start again in another folder")


@dataclass(frozen=True)
class State:
    """Named arrays, and the numbers and texts beside them.

    Attributes:
        arrays: of numbers, of any shape.
        attrs: what JSON can hold.
        where: names it in errors.
    """

    arrays: Mapping[str, NDArray[Any]]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    where: str = "the checkpoint"

    def under(self, prefix: str) -> Named:
        """The arrays whose names begin so, without that beginning."""
        return Named({k.removeprefix(prefix): a for k, a in self.arrays.items() if k.startswith(prefix)}, self.where)


def encode(state: State) -> bytes:
    """Give a state as the bytes that `decode` takes."""
    arrays = {name: np.ascontiguousarray(a, np.asarray(a).dtype.newbyteorder("<")) for name, a in state.arrays.items()}
    layout = [(name, a.dtype.str, np.shape(state.arrays[name])) for name, a in arrays.items()]
    header = json.dumps({"attrs": dict(state.attrs), "arrays": layout}).encode()
    body = b"".join([header, b"\n", *(a.tobytes() for a in arrays.values())])
    manifest = {"kinlim checkpoint": VERSION, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    return json.dumps(manifest).encode() + b"\n" + body


def decode(content: bytes, where: str = "the checkpoint") -> State:
    """Verify and read what `encode` wrote; `where` names it in errors.

    Raises:
        ValueError: it is not whole, or of another version; the text says what is wrong with it.
    """
    line, _, body = content.partition(b"\n")
    try:
        manifest = json.loads(line)
        version, length, checksum = (manifest[key] for key in ("kinlim checkpoint", "bytes", "sha256"))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("it does not begin as a checkpoint does") from None
    if version != VERSION:
        raise ValueError(f"it has version {version}, this kinlim reads {VERSION}")
    if len(body) != length:
        raise ValueError(f"it has {len(body)} bytes of {length}")
    if hashlib.sha256(body).hexdigest() != checksum:
        raise ValueError("its checksum is wrong")
    line, _, data = body.partition(b"\n")
    arrays, at = Named({}, where), 0
    try:
        header = json.loads(line)
        for name, dtype, shape in header["arrays"]:
            kind, count = np.dtype(dtype), math.prod(shape)
            if kind.hasobject or not 0 <= count <= len(data):
                raise ValueError
            arrays[name] = np.frombuffer(data, kind, count, at).reshape(shape).copy()
            at += arrays[name].nbytes
        return State(arrays, Named(header["attrs"], where), where)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError("its header is not one that kinlim writes") from None
