"""Annotated images + an engine, or the predictions of any program → scores."""
