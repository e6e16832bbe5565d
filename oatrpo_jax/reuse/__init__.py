"""Whose experience a learner uses: what was recorded, how far policies are apart, and the rules."""
