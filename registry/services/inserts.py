"""One statement that inserts a row or says that one like it exists: looking first would race with another request."""

from django.db import connection
from django.db.models import Model
from django.db.models.expressions import DatabaseDefault


def insert_if_absent(row: Model) -> int | None:
    """The id of `row`, now inserted; None when a unique constraint finds that there is one like it already.

    Waits for a transaction that is inserting the like of it. Django's bulk_create(ignore_conflicts=True) does not tell
    the two apart, and would have to be followed by a look.
    """
    values = {
        str(field.column): value
        for field in row._meta.concrete_fields
        if not field.primary_key and not isinstance(value := field.pre_save(row, add=True), DatabaseDefault)
    }
    prepared = [
        field.get_db_prep_save(values[str(field.column)], connection)
        for field in row._meta.concrete_fields
        if str(field.column) in values
    ]
    quote = connection.ops.quote_name
    names, places = ", ".join(map(quote, values)), ", ".join(["%s"] * len(values))
    # The names are our models' own.
    statement = (
        f"INSERT INTO {quote(row._meta.db_table)} ({names}) VALUES ({places}) ON CONFLICT DO NOTHING RETURNING id"  # noqa: S608
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, prepared)
        found = cursor.fetchone()
    return found[0] if found else None
