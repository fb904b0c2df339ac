"""Measurements and trials, each a script of its own."""
