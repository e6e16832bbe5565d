"""How fast the bridge and its engine are; for developers, and not in the wheel."""
