"""How gunicorn runs the relay; it listens on $PORT."""

# No thread waits for a slow sender: see databricks_app/serving/worker.py.
worker_class = "databricks_app.serving.worker.ReceiverWorker"
workers = 2
threads = 32  # CIO_RELAY_MAX_REQUESTS of each process
# Longer than the idle timeouts of proxies in front, so that they close a connection first. If we
# close one just when a request is sent, the request is lost and Customer.io waits an hour.
keepalive = 125
graceful_timeout = 6  # container hosts kill after 10 s; a request takes 3.5 s at most
control_socket_disable = True
forwarded_allow_ips = ""
