"""Side-by-side benchmarks of syncd and its peers; `python -m bench --help`, bench/README.md."""
