"""The tables of a pinned study."""
