"""The tables of a reaction study."""
