"""What looks at images and writes text: the native model, models of transformers, and servers."""
