"""Labelled scenes and data sets → images to learn from."""
