"""The Celery application: tasks are found in each app's `tasks` module, what runs by the clock is listed here."""

import os

from celery.schedules import crontab

from core import task_log
from kmcloud import broker, roles
from kmcloud.application import Application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kmcloud.settings")
broker.install()
task_log.connect()

app = Application("kmcloud")
app.set_default()  # other threads of the web process find this application, not an empty one
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.conf.broker_connection_max_retries = None  # for ever: the worker's sweeper drains without a broker meanwhile
# A queue for each kind of work and a worker for each queue (`kmcloud.roles`): a build of minutes delays no event. What
# is not named here goes to the default one, `maintenance`.
app.conf.task_routes = {
    "events.drain": {"queue": roles.INGEST},
    "registry.publish": {"queue": roles.SIGNING},
    "registry.sign_build": {"queue": roles.SIGNING},
    "registry.build_payload": {"queue": roles.BUILDS},
    "registry.build_for": {"queue": roles.BUILDS},
}
app.conf.beat_schedule = {
    # What a lost wake-up left unsigned, and what ends by the clock; a wake-up nobody took is worth nothing later.
    "publish": {"task": "registry.publish", "schedule": 15.0, "options": {"expires": 15}},
    "resume": {"task": "registry.resume", "schedule": 60.0, "options": {"expires": 60}},  # scans and letters
    "resume-builds": {"task": "registry.resume_builds", "schedule": 60.0, "options": {"expires": 60}},
    "note-health": {"task": "kmcloud.note_health", "schedule": 60.0, "options": {"expires": 60}},
    "sweep-orphans": {"task": "registry.sweep_orphans", "schedule": crontab(minute="29", hour="4")},
    "evaluate-alerts": {"task": "alerts.evaluate", "schedule": 60.0, "options": {"expires": 60}},
    "deliver-alerts": {"task": "alerts.deliver", "schedule": 15.0, "options": {"expires": 15}},  # retries, lost kicks
    "forget-alerts": {"task": "alerts.forget", "schedule": crontab(minute="51", hour="3")},
    "expire-events": {"task": "events.expire", "schedule": crontab(minute="17")},  # hourly, off the crowded full hour
    "forget-logins": {"task": "customers.forget_logins", "schedule": crontab(minute="47")},
    "forget-expired-tokens": {"task": "customers.forget_expired_tokens", "schedule": crontab(minute="43", hour="3")},
}
