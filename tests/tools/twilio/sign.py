"""Signs URLs as Twilio does: with the RequestValidator of Twilio's own library.

Usage: sign.py TOKEN < URLS      one URL a line; answers with one signature a line
"""

import sys

from twilio.request_validator import RequestValidator

validator = RequestValidator(sys.argv[1])
for line in sys.stdin:
    print(validator.compute_signature(line.rstrip("\n"), {}))
