"""What every process needs: start, logs, metrics, status, run folder, file modes."""
