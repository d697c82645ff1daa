"""Fields on a grid as XDMF: a text that ParaView and VisIt read, beside an HDF5 file with the numbers.

Whatever a dataset has over (time, x[, y[, z]]) is written, of particles as of equations: values at the grid's points,
such as the middles of bins, linear between. XDMF wants the last axis fastest and calls it X, so arrays are turned
round. The format is described at https://www.xdmf.org/index.php/XDMF_Model_and_Format.
"""

from pathlib import Path
from xml.etree import ElementTree as xml

import h5py
import numpy as np
import xarray as xr

from kinlim.grid import AXES


def fields(dataset: xr.Dataset) -> dict[str, xr.DataArray]:
    """Variables over the time and the axes that the dataset has, as (time[, z][, y], x); none without an axis."""
    axes = [axis for axis in AXES if axis in dataset.coords and axis in dataset.dims]
    dims = {"time", *axes}
    return {
        str(name): values.transpose("time", *reversed(axes))
        for name, values in dataset.data_vars.items()
        if axes and set(values.dims) == dims and values.dtype.kind in "fiu"
    }


def write(dataset: xr.Dataset, path: Path) -> None:
    """Write path.xdmf and path.h5. Serial.

    With the attribute periodic, the first points come once more behind the last ones, across the seam of the torus.

    Args:
        dataset: with `fields`.
        path: without an ending.
    """
    found, more = fields(dataset), int(dataset.attrs.get("periodic", 0))
    first = next(iter(found.values()))
    axes = [str(axis) for axis in reversed(first.dims[1:])]
    positions = {axis: dataset[axis].to_numpy().astype(float) for axis in axes}
    if more:
        positions = {axis: np.append(x, x[0] + 1) for axis, x in positions.items()}
    positions |= dict.fromkeys(AXES[len(axes) : 2], np.zeros(1))  # XDMF's grids have two axes or three
    lengths = [len(x) for x in reversed(positions.values())]
    shape = " ".join(map(str, lengths))
    numbers = path.with_suffix(".h5")
    root = xml.Element("Xdmf", Version="2.0")
    series = xml.SubElement(xml.SubElement(root, "Domain"), "Grid", Name=path.name, GridType="Collection")
    series.set("CollectionType", "Temporal")

    def item(parent: xml.Element, place: str, dimensions: str) -> None:
        about = {"Format": "HDF", "NumberType": "Float", "Precision": "8", "Dimensions": dimensions}
        xml.SubElement(parent, "DataItem", about).text = f"{numbers.name}:{place}"

    with h5py.File(numbers, "w") as file:
        for axis, x in positions.items():
            file[axis] = x
        for name, values in found.items():
            padded = np.pad(values.to_numpy(), [(0, 0), *[(0, more)] * len(axes)], mode="wrap")
            for k, field in enumerate(padded):
                file[f"{name}/{k}"] = field.astype(float).reshape(lengths)
        for k, t in enumerate(dataset["time"].to_numpy()):
            grid = xml.SubElement(series, "Grid", Name=f"{path.name} {k}", GridType="Uniform")
            xml.SubElement(grid, "Time", Value=repr(float(t)))
            kind = f"{len(positions)}DRectMesh"
            xml.SubElement(grid, "Topology", TopologyType=kind, Dimensions=shape)
            geometry = xml.SubElement(grid, "Geometry", GeometryType="VXVYVZ" if len(positions) == 3 else "VXVY")
            for axis, x in positions.items():
                item(geometry, f"/{axis}", str(len(x)))
            for name in found:
                attribute = xml.SubElement(grid, "Attribute", Name=name, AttributeType="Scalar", Center="Node")
                item(attribute, f"/{name}/{k}", shape)
    xml.indent(root)
    xml.ElementTree(root).write(path.with_suffix(".xdmf"), encoding="utf-8", xml_declaration=True)
