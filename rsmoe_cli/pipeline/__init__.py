"""Tiles → batches → engine → results, with a journal: what captioning and asking share."""
