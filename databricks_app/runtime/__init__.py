"""What every process has: start, logs, metrics, status, run folder, file modes."""
