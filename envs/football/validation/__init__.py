"""The academy (JAX) against recordings of the original engine, gate by gate."""
