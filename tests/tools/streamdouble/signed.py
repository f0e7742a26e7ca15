"""streamdouble with Twilio's signature on its upgrade request, which it cannot set itself.

Usage: signed.py PUBLIC_URL ARGUMENTS-OF-STREAMDOUBLE...

The token is taken from TWILIO_AUTH_TOKEN; Twilio's own library signs.
"""

import os
import sys

import websockets
from streamdouble import cli
from twilio.request_validator import RequestValidator


def main():
    url, arguments = sys.argv[1], sys.argv[2:]
    validator = RequestValidator(os.environ["TWILIO_AUTH_TOKEN"])
    headers = {"X-Twilio-Signature": validator.compute_signature(url, {})}
    connect = websockets.connect

    def connect_signed(*args, **kwargs):
        return connect(*args, additional_headers=headers, **kwargs)

    websockets.connect = connect_signed
    return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
