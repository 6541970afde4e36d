"""``python -m sdx``."""

from sdx.cli import main

if __name__ == "__main__":
    main()
