"""How one policy learns from weighted experience: the local steps, of one signature."""
