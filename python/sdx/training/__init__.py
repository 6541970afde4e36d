"""Training: one loop for distillation, labelled distillation and the making of teachers."""
