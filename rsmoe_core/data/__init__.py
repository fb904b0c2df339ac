"""Annotated images: what a sample is, the formats it is read from, and what is derived from it."""
