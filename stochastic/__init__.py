"""Particle systems: kernels, random streams, ensembles and streamed statistics."""
