"""Built-in models; ``python -m sdx.assets RUN`` makes one of a run's student or generator."""
