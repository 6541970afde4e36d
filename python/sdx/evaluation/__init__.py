"""How well a model tells people apart: verification sets, embeddings of them, protocols, baselines."""
