"""`rsmoe bench`: the speed of `rsmoe caption` beside that of baseline loops on the same weights."""
