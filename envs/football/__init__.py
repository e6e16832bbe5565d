"""Academy football in pure JAX: physics, rules and opponents calibrated on the original engine."""
