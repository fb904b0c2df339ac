"""`rsmoe bench`: the loops that others run, and the comparison with them."""
