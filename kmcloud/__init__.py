"""The roof: settings, urls, celery, wsgi, the server's commands."""

from core.optional import without

with without("rich"):  # which draws tracebacks with their variables, and so is forbidden to (`kmcloud.logs`)
    import structlog  # noqa: F401 - before anybody else imports it

from kmcloud.celery import app as celery_app

__all__ = ["celery_app"]
