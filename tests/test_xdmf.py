"""Fields as XDMF, read back as the format says: the last axis of an array is X."""

from xml.etree import ElementTree as xml

import h5py
import numpy as np
import pytest
import xarray as xr

from kinlim import xdmf


def read(path):
    """Times, coordinates in the order X, Y, Z, and values by name, each (times, [Z,] Y, X), as a reader finds them."""
    grids = xml.parse(path).getroot().findall("./Domain/Grid/Grid")

    def numbers(item):
        file, place = item.text.split(":")
        with h5py.File(path.parent / file) as data:
            found = data[place][()]
        assert list(found.shape) == [int(n) for n in item.get("Dimensions").split()]
        return found

    coordinates = [numbers(item) for item in grids[0].findall("./Geometry/DataItem")]
    shape = [int(n) for n in grids[0].find("Topology").get("Dimensions").split()]
    assert shape == [len(x) for x in reversed(coordinates)]
    values = {}
    for grid in grids:
        for attribute in grid.findall("Attribute"):
            values.setdefault(attribute.get("Name"), []).append(numbers(attribute.find("DataItem")).reshape(shape))
    return [float(grid.find("Time").get("Value")) for grid in grids], coordinates, values


@pytest.mark.parametrize("periodic", [0, 1])
@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_every_value_stands_at_its_point(tmp_path, dimension, periodic):
    """Axes exchanged would put most values elsewhere: there are 4, 5 and 6 points along them."""
    positions = {axis: np.arange(4.0 + k) / (4 + k) for k, axis in enumerate("xyz"[:dimension])}
    t = np.array([0.0, 0.1, 0.7])
    x = np.meshgrid(t, *positions.values(), indexing="ij")
    first = sum(10.0**k * part for k, part in enumerate(x))
    data = xr.Dataset(
        {"first": (("time", *positions), first), "second": ((*positions, "time"), np.moveaxis(first**2, 0, -1)),
         "mass": ("time", t), "cut": (tuple(positions), first[0])},
        coords={"time": t, **positions}, attrs={"periodic": periodic},
    )  # fmt: skip
    xdmf.write(data, tmp_path / "fields")
    times, coordinates, values = read(tmp_path / "fields.xdmf")
    assert times == t.tolist()
    assert set(values) == {"first", "second"}  # what is not over time and space is none
    for axis, (found, given) in enumerate(zip(coordinates, positions.values(), strict=False)):
        assert found[: len(given)].tolist() == given.tolist(), axis
        assert found[len(given) :].tolist() == [1.0] * periodic
    assert len(coordinates) == max(dimension, 2)
    place = np.meshgrid(*coordinates[:dimension], indexing="ij")
    for k, now in enumerate(t):
        at_home = [part % 1.0 for part in place]  # across the seam, the first points come again
        exact = now + sum(10.0 ** (1 + j) * part for j, part in enumerate(at_home))
        for name, power in (("first", 1), ("second", 2)):
            found = values[name][k].reshape([len(x) for x in reversed(coordinates[:dimension])])
            assert found.transpose() == pytest.approx(exact**power, rel=1e-14)
