"""Programs around the library: training from the command line, figures, benchmarks."""

from oatrpo_jax.installation import TRAIN, check_ours, check_packages

check_ours("envs")
check_packages(TRAIN, "train", "experiments")
