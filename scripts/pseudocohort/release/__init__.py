"""The gate, and what it lets out: complete evidence or nothing. It never calls anything safe."""
