"""SimFace: a procedural world of faces, the project's own face source, teacher data and verification sets."""
