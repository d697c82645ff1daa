"""The tables of a kac study."""
