"""Meshes: the interval, uniform or graded towards its ends."""
