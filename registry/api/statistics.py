"""How much there is: projects, repositories and bytes."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework import serializers

from harborlite.rest.openapi import operation
from harborlite.rest.views import SIGNED_IN, RestView
from registry import queries


class StatisticsOut(serializers.Serializer[Any]):
    private_project_count = serializers.IntegerField()
    private_repo_count = serializers.IntegerField()
    public_project_count = serializers.IntegerField()
    public_repo_count = serializers.IntegerField()
    total_project_count = serializers.IntegerField(help_text="For administrators, else 0; so are the next two.")
    total_repo_count = serializers.IntegerField()
    total_storage_consumption = serializers.IntegerField(help_text="Bytes of all blobs, each counted once.")


class Statistics(RestView):
    needs = {"GET": SIGNED_IN}

    @operation(gives=StatisticsOut)
    def get(self, request: HttpRequest) -> HttpResponse:
        """How many projects and repositories the caller may see, and how much is stored"""
        return self.shown(StatisticsOut(queries.statistics(self.actor)))
