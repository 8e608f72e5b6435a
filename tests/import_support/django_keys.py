"""Lets Django applications make keys in a database of their own, and prints what they stored.

    python django_keys.py rest_framework_api_key | knox
"""

import importlib.metadata
import json
import sys

import django
from django.conf import settings

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "rest_framework",
        "rest_framework_api_key",
        "knox",
    ],
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    USE_TZ=True,
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

call_command("migrate", verbosity=0)


def rows(table):
    """The table as it is, without the model's interpretation."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table}")
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, map(str, row))) for row in cursor.fetchall()]


def rest_framework_api_key():
    from rest_framework_api_key.models import APIKey

    keys = {}
    for number in range(4):
        key, text = APIKey.objects.create_key(name=f"key {number}")
        assert APIKey.objects.is_valid(text) and not APIKey.objects.is_valid(text + "x")
        keys[key.prefix] = text
    return [{"token": keys[row["prefix"]], "row": row} for row in rows(APIKey._meta.db_table)]


def knox():
    from django.contrib.auth import get_user_model
    from knox.auth import TokenAuthentication
    from knox.models import AuthToken

    # Release 5 brought prefixes.
    prefixes = [{}, {}] if version("django-rest-knox") < "5" else [{}, {}, {"prefix": "acme_"}]
    tokens = {}
    for number, prefix in enumerate(prefixes):
        user = get_user_model().objects.create_user(f"user {number}")
        token, text = AuthToken.objects.create(user, **prefix)
        accepted, _ = TokenAuthentication().authenticate_credentials(text.encode())
        assert accepted == user
        tokens[token.digest] = text
    return [{"token": tokens[row["digest"]], "row": row} for row in rows("knox_authtoken")]


def version(package):
    return importlib.metadata.version(package)


packages = {"rest_framework_api_key": "djangorestframework-api-key", "knox": "django-rest-knox"}
system = sys.argv[1]
made_by = {name: version(name) for name in [packages[system], "Django", "djangorestframework"]}
print(json.dumps({"made_by": made_by, "tokens": globals()[system]()}, indent=2))
