# Written by api-tokens; write it anew instead of editing it.
# detect-secrets scan --plugin detect_secrets_plugin.py PATH

import re
import string
import zlib

from detect_secrets.plugins.base import RegexBasedDetector


class AcmeLiveApiTokenDetector(RegexBasedDetector):
    """Finds texts that have the shape of a token and its checksum."""

    secret_type = "Acme \"API\" token"

    denylist = (
        re.compile(r"acme_live_[0-9A-Za-z]{16}_[0-9A-Za-z]{39}[0-4][0-9A-Za-z]{5}"),
        re.compile(r"acme_[0-9A-Za-z]{16}_[0-9A-Za-z]{39}[0-4][0-9A-Za-z]{5}"),
    )

    def analyze_string(self, string, **kwargs):
        for pattern in self.denylist:
            found = pattern.search(string)
            while found:
                text = found.group()
                is_token = text[-6:] == checksum(text[:-6])
                if is_token:
                    yield text
                found = pattern.search(string, found.end() if is_token else found.start() + 1)


DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase


def checksum(text):
    number = zlib.crc32(text.encode("ascii"))
    digits = ""
    for _ in range(6):
        number, digit = divmod(number, len(DIGITS))
        digits = DIGITS[digit] + digits
    return digits
