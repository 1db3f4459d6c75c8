#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The authorizer: who is let in, what the answer is, and how often the list is read."""
import hashlib
import json
import pathlib
import unittest
import unittest.mock

import fakes
import authorizer

EVENTS = pathlib.Path(__file__).with_name("events")
ARN = "arn:aws:execute-api:eu-west-1:123456789012:abcdef123/prod/*"


def event(name):
    return json.loads((EVENTS / f"authorizer-{name}.json").read_text())


def digest(token):
    return hashlib.sha256(token.encode()).hexdigest()


class Secrets:
    """Both of the services that may hold the list."""

    def __init__(self, world):
        self.world = world
        self.entries = {digest("the-token-of-gw-17"): {"device": "gw-17"}}
        self.parameters = []

    def get_secret_value(self, **params):
        return self.world.call("secretsmanager", "GetSecretValue", params, lambda **_: {
            "SecretString": json.dumps(self.entries)})

    def get_parameters_by_path(self, **params):
        return self.world.call("ssm", "GetParametersByPath", params, self._page)

    def _page(self, NextToken="0", **_more):  # pylint: disable=invalid-name
        at = int(NextToken)
        page = {"Parameters": [{"Name": name, "Value": value}
                               for name, value in self.parameters[at:at + 1]]}
        return {**page, "NextToken": str(at + 1)} if at + 1 < len(self.parameters) else page


class Case(unittest.TestCase):
    ENVIRONMENT = {"AUTH_TOKENS_SECRET": "runnel/tokens"}

    def setUp(self):
        self.world = fakes.World()
        self.secrets = Secrets(self.world)
        services = self.world.services(secretsmanager=self.secrets, ssm=self.secrets)
        self.tokens = authorizer.Tokens(services, self.ENVIRONMENT)

    def device(self, token="the-token-of-gw-17"):
        return self.tokens.device_of(token)


class Answers(Case):
    def test_of_a_rest_api(self):
        for name in ("token", "request"):
            answer = authorizer.authorize(event(name), self.tokens)
            self.assertEqual(
                {"principalId": "gw-17", "context": {"device": "gw-17"}, "policyDocument": {
                    "Version": "2012-10-17", "Statement": [
                        {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": ARN}]}},
                answer)

    def test_of_an_http_api(self):
        self.assertEqual({"isAuthorized": True, "context": {"device": "gw-17"}},
                         authorizer.authorize(event("http"), self.tokens))

    def test_unknown_tokens(self):
        self.secrets.entries = {}
        answer = authorizer.authorize(event("token"), self.tokens)
        self.assertEqual("Deny", answer["policyDocument"]["Statement"][0]["Effect"])
        self.assertNotIn("context", answer)
        self.assertIs(False, authorizer.authorize(event("http"), self.tokens)["isAuthorized"])

    def test_without_a_token(self):
        request, http = event("request"), event("http")
        del request["headers"]["Authorization"]
        del http["headers"]["authorization"]
        with self.assertRaisesRegex(Exception, "^Unauthorized$"):
            authorizer.authorize(request, self.tokens)
        with self.assertRaisesRegex(Exception, "^Unauthorized$"):
            authorizer.authorize({**event("token"), "authorizationToken": "Bearer "}, self.tokens)
        self.assertEqual({"isAuthorized": False}, authorizer.authorize(http, self.tokens))
        self.assertEqual(0, self.world.calls["GetSecretValue"])

    def test_another_header(self):
        request = event("request")
        request["headers"] = {"x-runnel-token": "the-token-of-gw-17"}
        answer = authorizer.authorize(request, self.tokens, "X-Runnel-Token")
        self.assertEqual("gw-17", answer["principalId"])


class List(Case):
    def test_hashes_alone(self):
        """The digest itself, a prefix or another case is no token."""
        for token in (digest("the-token-of-gw-17"), "the-token-of-gw-1", "THE-TOKEN-OF-GW-17", ""):
            self.assertIsNone(self.device(token))
        self.assertEqual("gw-17", self.device())

    def test_every_entry_is_compared_in_constant_time(self):
        self.secrets.entries = {digest(str(at)): {"device": f"gw-{at}"} for at in range(20)}
        compare = authorizer.hmac.compare_digest
        for token in ("0", "19", "unknown"):
            self.device(token)
            with unittest.mock.patch.object(authorizer.hmac, "compare_digest",
                                            side_effect=compare) as compared:
                self.device(token)
            self.assertEqual(0, compared.call_count % 20)
            self.assertGreater(compared.call_count, 0)

    def test_expiry_and_what_is_no_entry(self):
        self.secrets.entries = {digest("new"): {"device": "a", "expires": self.world.now_s + 1},
                                digest("old"): {"device": "b", "expires": self.world.now_s},
                                digest("none"): {}, digest("text"): "c", "short": {"device": "d"}}
        self.assertEqual(["a", None, None, None],
                         [self.device(token) for token in ("new", "old", "none", "text")])

    def test_it_is_kept_and_read_again(self):
        for _ in range(50):
            self.device()
        self.assertEqual(1, self.world.calls["GetSecretValue"])
        self.secrets.entries = {}
        self.world.now_s += 299
        self.assertEqual("gw-17", self.device())
        self.world.now_s += 2
        self.assertIsNone(self.device())

    def test_a_new_token_works_soon_and_guesses_cost_little(self):
        self.device()
        self.secrets.entries[digest("new")] = {"device": "gw-18"}
        self.assertIsNone(self.device("new"))
        self.world.now_s += 11
        self.assertEqual("gw-18", self.device("new"))
        reads = self.world.calls["GetSecretValue"]
        for at in range(100):
            self.device(f"guess {at}")
        self.assertLessEqual(self.world.calls["GetSecretValue"], reads + 1)

    def test_the_last_list_serves_while_there_is_none(self):
        self.device()
        self.secrets.get_secret_value = self.refuse
        self.world.now_s += 1000
        self.assertEqual("gw-17", self.device())
        self.world.now_s += 3000
        with self.assertRaisesRegex(RuntimeError, "cannot be read"):
            self.device()

    def test_never_a_list(self):
        """An error, which is a 500, and no answer that API Gateway would keep."""
        self.world.refuse["GetSecretValue"] = [fakes.error("AccessDeniedException")] * 9
        for _ in range(20):
            with self.assertRaisesRegex(RuntimeError, "cannot be read"):
                self.device()
        self.assertEqual(1, self.world.calls["GetSecretValue"])
        self.world.now_s += 11
        self.world.refuse = {}
        self.assertEqual("gw-17", self.device())

    def refuse(self, **_params):
        raise fakes.error("AccessDeniedException")


class Parameters(Case):
    ENVIRONMENT = {"AUTH_TOKENS_PATH": "/runnel/tokens"}

    def test_pages_and_two_tokens_of_a_device(self):
        self.secrets.parameters = [
            ("/runnel/tokens/gw-1", digest("a")),
            ("/runnel/tokens/eu/gw-2", digest("b") + " " + digest("c")),
            ("/runnel/tokens/gw-3", "nonsense")]
        self.assertEqual(["gw-1", "gw-2", "gw-2", None],
                         [self.device(token) for token in ("a", "b", "c", "nonsense")])


if __name__ == "__main__":
    fakes.main()
