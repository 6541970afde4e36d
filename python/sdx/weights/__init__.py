"""Model files: our own artefacts, readers of foreign checkpoints, and the names by which models are asked for."""
