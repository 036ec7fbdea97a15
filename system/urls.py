"""The routes of the instance's own affairs in the REST API, under /api/v2.0/."""

from django.urls import path

from system.api.audit import EventTypes
from system.api.configurations import Configurations
from system.api.jobs import JobDetail, JobList, JobLog, PoolList, QueueDetail, QueueList, WorkerList
from system.api.purge import PurgeDetail, PurgeList, PurgeLog, PurgeSchedule
from system.api.schedules import ScheduleList, SchedulePaused
from system.api.systeminfo import Certificate, GeneralInfo, Volumes

urlpatterns = [
    path("auditlog-exts/events", EventTypes.as_view()),
    path("configurations", Configurations.as_view()),
    path("systeminfo", GeneralInfo.as_view()),
    path("systeminfo/volumes", Volumes.as_view()),
    path("systeminfo/getcert", Certificate.as_view()),
    path("system/purgeaudit", PurgeList.as_view()),
    path("system/purgeaudit/schedule", PurgeSchedule.as_view()),
    path("system/purgeaudit/<id:purge_id>", PurgeDetail.as_view()),
    path("system/purgeaudit/<id:purge_id>/log", PurgeLog.as_view()),
    path("jobservice/pools", PoolList.as_view()),
    path("jobservice/pools/<str:pool_id>/workers", WorkerList.as_view()),
    path("jobservice/jobs", JobList.as_view()),
    path("jobservice/jobs/<str:job_id>", JobDetail.as_view()),
    path("jobservice/jobs/<str:job_id>/log", JobLog.as_view()),
    path("jobservice/queues", QueueList.as_view()),
    path("jobservice/queues/<str:job_type>", QueueDetail.as_view()),
    path("schedules", ScheduleList.as_view()),
    path("schedules/<str:job_type>/paused", SchedulePaused.as_view()),
]
