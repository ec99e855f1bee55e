"""How often content and manifests are compared with their digests."""

from datetime import timedelta

from jobservice.runs.types import DeclaredSchedule
from jobservice.scrub.rules import EVERY

SCHEDULES = (
    DeclaredSchedule("scrub.content", "scrub.content", EVERY),
    DeclaredSchedule("scrub.manifests", "scrub.manifests", timedelta(days=7)),
)
