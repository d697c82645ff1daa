"""Kinetic generation and recombination: the limit equation, and the kinetic system at finite epsilon."""
