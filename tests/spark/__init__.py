"""Apache Spark and Delta Lake judge the SQL of `sql/`, the statements sent, and the doubles."""
