"""Predictions + references → figures: captions, answers, counts, calibration and bootstrap intervals."""
