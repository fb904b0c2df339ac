"""Requests → answers and detections."""
