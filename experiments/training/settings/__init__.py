"""What to run: options, their layers of defaults, and the experiment that they come to."""
