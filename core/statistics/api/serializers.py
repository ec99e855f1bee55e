"""Shape of the statistics on the wire."""

from typing import Any

from rest_framework import serializers

from core.api.fields import ResponseSerializer

STORAGE = "total_storage_consumption"


class StatisticSerializer(ResponseSerializer):
    """Harbor's ``Statistic``; the storage is there for system administrators only."""

    always = frozenset(
        {
            "private_project_count",
            "private_repo_count",
            "public_project_count",
            "public_repo_count",
            "total_project_count",
            "total_repo_count",
        }
    )

    private_project_count = serializers.IntegerField()
    private_repo_count = serializers.IntegerField()
    public_project_count = serializers.IntegerField()
    public_repo_count = serializers.IntegerField()
    total_project_count = serializers.IntegerField()
    total_repo_count = serializers.IntegerField()
    total_storage_consumption = serializers.IntegerField()

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """Render; where the storage was counted, it is shown even when there is none."""
        rendered = super().to_representation(instance)
        if STORAGE in instance:
            rendered[STORAGE] = instance[STORAGE]
        return rendered
