"""Programs around the library: training from the command line, figures, benchmarks."""
