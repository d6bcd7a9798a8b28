"""The conversion matrix, piece by piece; `benchmarks.conversion_matrix` puts them together."""
