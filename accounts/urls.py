"""The routes of accounts: in the REST API, under /api/v2.0/, those of browsers' sessions, under /c/, and pages."""

from django.urls import path

from accounts import views
from accounts.api import groups, sessions, tokens, users

urlpatterns = [
    path("users", users.Users.as_view()),
    path("users/current", users.Current.as_view()),
    path("users/current/tokens", tokens.Mine.as_view()),
    path("users/current/tokens/<id:token_id>", tokens.MyOne.as_view()),
    path("users/search", users.Search.as_view()),
    path("users/<id:user_id>", users.One.as_view()),
    path("users/<id:user_id>/sysadmin", users.Sysadmin.as_view()),
    path("users/<id:user_id>/password", users.Password.as_view()),
    path("users/<id:user_id>/cli_secret", users.CliSecret.as_view()),
    path("users/<id:user_id>/tokens", tokens.Theirs.as_view()),
    path("users/<id:user_id>/tokens/<id:token_id>", tokens.TheirOne.as_view()),
    path("usergroups", groups.Groups.as_view()),
    path("usergroups/search", groups.Search.as_view()),
    path("usergroups/<id:group_id>", groups.One.as_view()),
]
session_urlpatterns = [
    path("c/login", sessions.Login.as_view()),
    path("c/log_out", sessions.LogOut.as_view()),
    path("c/userExists", sessions.UserExists.as_view()),
]
page_urlpatterns = [
    path("login", views.SignIn.as_view()),
    path("logout", views.SignOut.as_view()),
    path("account", views.Account.as_view()),
]
