"""The Celery application and the task base every run goes through."""
