# SPDX-License-Identifier: Apache-2.0
"""
The Lambda authorizer of an API: who shows a token that is on the list gets in, as its device.

The list holds SHA-256 digests in hexadecimal, never tokens. A token is a secret of at least 128
random bits (`openssl rand -hex 32`), so a plain digest is enough; `printf %s TOKEN | sha256sum`
makes it.

    AUTH_TOKENS_SECRET   a secret of Secrets Manager, JSON: {"<digest>":{"device":"gw-17"}, ...}; an
                         entry may say "expires", in seconds since 1970
    AUTH_TOKENS_PATH     or parameters of SSM below a path: the name's last part is the device, the
                         value its digest, or two of them, separated by a space, while a token
                         changes
    AUTH_HEADER          the header of request authorizers (default Authorization)
    AUTH_CACHE_S         how long a list is used before it is read again (300)

The role needs secretsmanager:GetSecretValue, or ssm:GetParametersByPath, on just that.

It answers what asks: TOKEN and REQUEST of a REST API (a policy; a missing token is 401, an unknown
one 403), and payload format 2.0 of an HTTP API (isAuthorized). The policy covers the API's stage,
since API Gateway keeps it for the token, not for the path. While the list cannot be
read, the last one serves for STALE_S; after that the call fails, which the device sees as a 500 and
tries again.
"""
import hashlib
import hmac
import json
import os
import re

from botocore.exceptions import BotoCoreError, ClientError

import services as aws

STALE_S = 3600
# A token that is not on the list may be new; how often to look for that reason.
AGAIN_S = 10
DIGEST = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)


class Unauthorized(Exception):
    """API Gateway makes a 401 of an error with just this text."""

    def __init__(self):
        super().__init__("Unauthorized")


class Tokens:
    """The list, kept between calls."""

    def __init__(self, services, environment):
        self.services = services
        self.secret = environment.get("AUTH_TOKENS_SECRET")
        self.path = environment.get("AUTH_TOKENS_PATH")
        self.cache_s = int(environment.get("AUTH_CACHE_S") or 300)
        self.entries = []             # (digest, device, expires or None)
        self.read_at = None
        self.tried_at = None

    def device_of(self, token):
        """The device that TOKEN belongs to, or None."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
        self._refresh(self.cache_s)
        device = self._find(digest)
        if device is None:
            self._refresh(AGAIN_S)
            device = self._find(digest)
        return device

    def _find(self, digest):
        """Looks at every entry, so that the time it takes tells nothing."""
        found = None
        now = self.services.now()
        for known, device, expires in self.entries:
            if hmac.compare_digest(known, digest) and (expires is None or now < expires):
                found = device
        return found

    def _refresh(self, age_s):
        now = self.services.now()
        if self.tried_at is not None and now - self.tried_at < min(age_s, AGAIN_S):
            return self._require_list(now)
        if self.read_at is not None and now - self.read_at < age_s:
            return None
        self.tried_at = now
        try:
            self.entries = self._secret() if self.secret else self._parameters()
            self.read_at = now
        except (ClientError, BotoCoreError, ValueError) as error:
            print(json.dumps({"failed": f"reading the tokens: {error}"}))
        return self._require_list(now)

    def _require_list(self, now):
        if self.read_at is None or now - self.read_at > STALE_S:
            raise RuntimeError("the list of tokens cannot be read")

    def _secret(self):
        reply = self.services.retry(lambda: self.services.secretsmanager.get_secret_value(
            SecretId=self.secret))
        entries = json.loads(reply["SecretString"])
        if not isinstance(entries, dict):
            raise ValueError("the secret is no JSON object")
        return [(digest, str(entry["device"]), entry.get("expires"))
                for digest, entry in entries.items()
                if DIGEST.match(digest) and isinstance(entry, dict) and entry.get("device")]

    def _parameters(self):
        entries, more = [], {}
        while True:
            request = {"Path": self.path, "Recursive": True, "WithDecryption": True, **more}
            reply = self.services.retry(
                lambda: self.services.ssm.get_parameters_by_path(
                    **request))         # pylint: disable=cell-var-from-loop
            for parameter in reply["Parameters"]:
                device = parameter["Name"].rsplit("/", 1)[-1]
                entries += [(digest, device, None) for digest in parameter["Value"].split()
                            if DIGEST.match(digest)]
            if not reply.get("NextToken"):
                return entries
            more = {"NextToken": reply["NextToken"]}


def token_of(event, header):
    """The token that the request shows, without its "Bearer"; None without one."""
    if event.get("type") == "TOKEN":
        text = event.get("authorizationToken")
    else:
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        text = headers.get(header.lower())
    scheme, _, rest = (text or "").strip().partition(" ")
    return (rest.strip() if scheme.lower() == "bearer" else (text or "").strip()) or None


def stage_of(arn):
    """Everything in the stage of a method: arn:aws:execute-api:REGION:ACCOUNT:API/STAGE/*"""
    return "/".join(arn.split("/")[:2]) + "/*"


def policy(arn, device):
    """A REST API's answer; DEVICE None denies."""
    answer = {"principalId": device or "unknown",
              "policyDocument": {"Version": "2012-10-17", "Statement": [
                  {"Action": "execute-api:Invoke", "Effect": "Allow" if device else "Deny",
                   "Resource": stage_of(arn)}]}}
    if device:
        answer["context"] = {"device": device}
    return answer


def authorize(event, tokens, header="Authorization"):
    is_simple = event.get("version") == "2.0"
    token = token_of(event, header)
    if token is None:
        if is_simple:
            return {"isAuthorized": False}
        raise Unauthorized
    device = tokens.device_of(token)
    if is_simple:
        return {"isAuthorized": device is not None, "context": {"device": device or ""}}
    return policy(event["methodArn"], device)


class Handler:
    """What one process of Lambda keeps between calls: the list."""

    def __init__(self):
        self.tokens = None

    def __call__(self, event, _context):
        self.tokens = self.tokens or Tokens(aws.Services(), os.environ)
        return authorize(event, self.tokens, os.environ.get("AUTH_HEADER") or "Authorization")


handler = Handler()
