"""The roof: settings, urls, celery, wsgi, the server's commands."""

from kmcloud.celery import app as celery_app

__all__ = ["celery_app"]
