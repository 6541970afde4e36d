"""Making a generator: by regression onto the renderer, or adversarially from a folder of faces."""
