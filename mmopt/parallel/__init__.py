"""Work in other processes: a pool on this machine, or the workers of a Dask cluster."""
