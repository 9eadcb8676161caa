"""Delta tables of Unity Catalog; the owner of the lease loads them through a SQL warehouse."""
