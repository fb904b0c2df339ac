"""From annotated images to a model folder: stages as data, one loop for all of them."""
