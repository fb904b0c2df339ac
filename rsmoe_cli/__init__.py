"""The ground side of rsmoe: scenes, maps and the command line."""
