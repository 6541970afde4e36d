"""What the benches compare with, written from the published descriptions."""
