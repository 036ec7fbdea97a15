"""How gunicorn runs the web server: `gunicorn -c python:harborlite.gunicorn_conf harborlite.wsgi:application`."""

import os

from gunicorn.glogging import Logger

from harborlite import env


class Log(Logger):  # type: ignore[misc]  # gunicorn has no types
    """The form of the log lines of every other part."""

    error_fmt = "%(asctime)s %(levelname)s %(name)s %(message)s"
    datefmt = None


bind = env.text("HARBORLITE_BIND")
backlog = 1024
workers = env.integer("HARBORLITE_WEB_PROCESSES")
worker_class = "harborlite.server.worker.Worker"
threads = env.integer("HARBORLITE_WEB_THREADS")
worker_connections = 2000
preload_app = False
proc_name = "harborlite-web"

keepalive = 75
graceful_timeout = 25  # below the 30 s that container platforms wait before they kill
timeout = 60  # only tells a worker that hangs as a whole; requests have their own limits
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - the heartbeat must not wait for a disk
control_socket_disable = True

http_parser = "python"  # the one that the tests try, whatever is installed
limit_request_line = 8190
limit_request_fields = 100
limit_request_field_size = 16 * 1024
forwarded_allow_ips = ",".join(env.words("HARBORLITE_TRUSTED_PROXIES"))
forwarder_headers = ""

accesslog = None
errorlog = "-"
loglevel = env.text("LOG_LEVEL")
logger_class = Log
