"""Writes of accounts, one noun a file. What changes what somebody may do adds 1 to their access_version with it.

Everything that changes leaves its event (system.events) in the same transaction.
"""

from accounts.services.access_tokens import token_issue, token_revoke, token_used
from accounts.services.groups import group_add_user, group_create, group_delete, group_remove_user, group_rename
from accounts.services.people import (
    admin_ensure,
    user_change_password,
    user_create,
    user_delete,
    user_disable,
    user_enable,
    user_set_admin,
    user_set_password,
    user_update,
)
from accounts.services.robots import (
    robot_account_create,
    robot_account_secret,
    robot_account_update,
    robot_accounts_delete,
    robot_accounts_kept,
    robot_accounts_restore,
)
from accounts.services.sign_ins import (
    password_check,
    probe_count,
    sign_in_recorded,
    sign_ins_unlock,
    sign_out_recorded,
)

__all__ = [
    "admin_ensure",
    "group_add_user",
    "group_create",
    "group_delete",
    "group_remove_user",
    "group_rename",
    "password_check",
    "probe_count",
    "robot_account_create",
    "robot_account_secret",
    "robot_account_update",
    "robot_accounts_delete",
    "robot_accounts_kept",
    "robot_accounts_restore",
    "sign_in_recorded",
    "sign_ins_unlock",
    "sign_out_recorded",
    "token_issue",
    "token_revoke",
    "token_used",
    "user_change_password",
    "user_create",
    "user_delete",
    "user_disable",
    "user_enable",
    "user_set_admin",
    "user_set_password",
    "user_update",
]
