"""Kac particles, exactly: generators of the R- and the T-system on symmetric polynomials, and what the paper says."""
