"""Model, or another program's predictions, + annotated images → scores."""
