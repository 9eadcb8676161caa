"""Delta tables of Unity Catalog, loaded through a SQL warehouse by the lease owner."""
