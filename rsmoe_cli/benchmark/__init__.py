"""What `rsmoe bench` measures: the journey of captions against the loops that others run, on the same weights."""
