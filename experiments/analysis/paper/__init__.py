"""The paper's figures: what they run, what becomes of it, and what it says of the claims."""
