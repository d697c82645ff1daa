"""The reaction model: what is compared, and what the theory says of it."""
