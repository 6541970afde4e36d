"""Pictures of a run: what was trained on, and how it went."""
