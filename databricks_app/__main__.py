"""`python -m databricks_app` is the command `ciolake`."""

from databricks_app.cli import main

if __name__ == "__main__":
    main()
