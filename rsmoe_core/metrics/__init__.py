"""Scores of texts against texts; strings only."""
