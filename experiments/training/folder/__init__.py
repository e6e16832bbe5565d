"""The files of a run's folder, as training writes and finds them."""
