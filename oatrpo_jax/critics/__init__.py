"""What states are worth: critics, how they learn, and what learners share of them."""
