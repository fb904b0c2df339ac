"""From annotated pictures to a model folder: stages as data, one loop."""
