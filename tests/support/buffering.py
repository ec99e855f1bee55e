"""The audit buffer's own flush interval, read before any test changes it."""

from core.audit import buffer

FLUSH_INTERVAL_SECONDS = buffer.FLUSH_INTERVAL_SECONDS
