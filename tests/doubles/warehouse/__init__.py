"""SQL over real Delta tables, behind Thrift and the Statement Execution API."""
