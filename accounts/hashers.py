"""How passwords are kept."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2(Argon2PasswordHasher):
    """Argon2id at OWASP's smallest setting, about 20 ms a check: clients send their password with every request."""

    memory_cost = 19 * 1024  # KiB
    time_cost = 2
    parallelism = 1
