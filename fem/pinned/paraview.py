"""The solution as VTX (ADIOS2 .bp), which ParaView opens: mu, sigma, E on the mesh, one step an observation time."""

from pathlib import Path

import xarray as xr

from dolfinx import fem
from dolfinx.io import VTXWriter
from mpi4py import MPI

from kinlim.fem.probe import Nodes
from kinlim.meshes.interval import interval

NAMES = ("mu", "sigma", "E")


def write(pde: xr.Dataset, path: Path) -> None:
    """Write a dataset of `kinlim.solve` on its own nodes, with its own degree. Serial.

    The values are those of node_mu, node_sigma, node_E, so nothing is interpolated but between nodes.
    """
    degree, x = int(pde.attrs["degree"]), pde["node_x"].to_numpy()
    mesh = interval(MPI.COMM_SELF, x[::degree])
    space = fem.functionspace(mesh, ("Lagrange", degree))
    functions = [fem.Function(space, name=name) for name in NAMES]
    nodes = Nodes(functions[0])
    with VTXWriter(MPI.COMM_SELF, path, functions, engine="BP4") as file:
        for k, t in enumerate(pde["time"].to_numpy()):
            for name, function in zip(NAMES, functions, strict=True):
                nodes.fill(function, pde[f"node_{name}"].to_numpy()[k])
            file.write(float(t))
