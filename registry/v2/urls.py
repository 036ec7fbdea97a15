"""The protocol's routes (OCI distribution spec, "Endpoints")."""

from django.urls import path, re_path, register_converter

from registry.v2 import blobs, catalog, converters, manifests, referrers, tags, uploads

register_converter(converters.NameConverter, "name")
register_converter(converters.SegmentConverter, "segment")

urlpatterns = [
    path("", catalog.Base.as_view()),
    path("_catalog", catalog.Catalog.as_view()),
    path("<name:name>/tags/list", tags.TagList.as_view()),
    path("<name:name>/manifests/<segment:reference>", manifests.ManifestDetail.as_view()),
    path("<name:name>/referrers/<segment:digest>", referrers.ReferrerList.as_view()),
    path("<name:name>/blobs/uploads/", uploads.UploadList.as_view()),
    path("<name:name>/blobs/uploads/<uuid:upload_id>", uploads.UploadDetail.as_view()),
    path("<name:name>/blobs/uploads/<segment:upload_id>", uploads.UploadDetail.as_view()),
    path("<name:name>/blobs/<segment:digest>", blobs.BlobDetail.as_view()),
    re_path("^", catalog.Unknown.as_view()),
]
