"""Studies to start from; `kinlim new` prints them."""
