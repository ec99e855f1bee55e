"""How often housekeeping happens."""

from datetime import timedelta

from jobservice.runs.types import DeclaredSchedule

SCHEDULES = (
    DeclaredSchedule(
        "housekeeping.pull_records", "housekeeping.pull_records", timedelta(seconds=30)
    ),
    DeclaredSchedule(
        "housekeeping.expired_uploads",
        "housekeeping.expired_uploads",
        timedelta(minutes=5),
    ),
    DeclaredSchedule(
        "housekeeping.condemned_content", "housekeeping.condemned_content", timedelta(minutes=10)
    ),
    DeclaredSchedule("housekeeping.stray_content", "housekeeping.stray_content", timedelta(days=1)),
    DeclaredSchedule(
        "housekeeping.expired_trash", "housekeeping.expired_trash", timedelta(hours=1)
    ),
    DeclaredSchedule(
        "housekeeping.expired_tags", "housekeeping.expired_tags", timedelta(minutes=5)
    ),
    DeclaredSchedule(
        "housekeeping.dead_redirects", "housekeeping.dead_redirects", timedelta(minutes=10)
    ),
    DeclaredSchedule(
        "housekeeping.expired_tokens", "housekeeping.expired_tokens", timedelta(hours=1)
    ),
    DeclaredSchedule("housekeeping.quota_usage", "housekeeping.quota_usage", timedelta(minutes=1)),
    DeclaredSchedule("housekeeping.quota_recount", "housekeeping.quota_recount", timedelta(days=1)),
    DeclaredSchedule(
        "housekeeping.audit_counts", "housekeeping.audit_counts", timedelta(minutes=1)
    ),
    DeclaredSchedule("housekeeping.audit_recount", "housekeeping.audit_recount", timedelta(days=1)),
    DeclaredSchedule(
        "housekeeping.artifact_marks", "housekeeping.artifact_marks", timedelta(days=1)
    ),
    DeclaredSchedule("housekeeping.pull_usage", "housekeeping.pull_usage", timedelta(days=1)),
    DeclaredSchedule("housekeeping.attributes", "housekeeping.attributes", timedelta(seconds=30)),
    DeclaredSchedule(
        "housekeeping.finished_runs", "housekeeping.finished_runs", timedelta(hours=6)
    ),
)
