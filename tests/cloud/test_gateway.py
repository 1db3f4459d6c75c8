#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The local API Gateway without the agent: what the template asks of a request is enforced, and what
comes back is what API Gateway would say.

  bodies    each body becomes what it must, directly and gzipped
  refused   schema, content types, sizes, paths, signatures
  role      what the role of gateways may
  mutual    a client certificate
  keys      API keys, usage plans, quotas
  pool      OAuth 2 client credentials
  proxy     the same bodies by way of a function
  authorizer  bearer tokens that a function looks up
  limits    throttling of stage and method
  private   a private API by its names, a web ACL by the size of bodies
  faults    every fault that can be injected, as a client sees it
  controls  a template with a planted mistake fails the check that is there for it
"""
import base64
import hashlib
import http.client
import json
import subprocess

from cloud import Cloud, resolve, run_cases
from client import Client, entry, line, record, signer
import harness
from harness import check

DEVICE = "gw-1"


def expect(reply, status, kind=None, text=None):
    check(reply.status == status and (kind is None or reply.type == kind) and
          (text is None or text in reply.text), f"expected {status} {kind} {text}, got {reply}")
    return reply


# -- bodies

def check_records(cloud, client, path=""):
    body = {"Records": [entry(record(seq)) for seq in range(3)]}
    reply = expect(client.send(cloud.url(f"{path}/records"), body), 200)
    results = reply.json["Records"]
    check(len(results) == 3 and all(one["SequenceNumber"] for one in results), reply)
    expect(client.zipped(cloud.url(f"{path}/records"), body), 200)
    documents = [json.loads(data) for _, data in cloud.stored()]
    check(documents == [record(seq) for seq in range(3)] * 2, documents)


def check_bodies(cloud, client, path=""):
    before, odd = len(list(cloud.stored())), record(11, note="é'\"\\ü")
    text = "".join(line(record(seq)) + "\n" for seq in range(20, 23))
    expect(client.send(cloud.url(f"{path}/array"), {"records": [record(10), odd]}), 200)
    expect(client.send(cloud.url(f"{path}/lines"), text, kind="application/x-ndjson"), 200)
    expect(client.send(cloud.url(f"{path}/single"), record(30)), 200)
    new = list(cloud.stored())[before:]
    check([json.loads(line)["seq"] for _, data in new for line in data.splitlines()] ==
          [10, 11, 20, 21, 22, 30], new)
    check({key for key, _ in new} == {DEVICE}, f"partition keys: {[key for key, _ in new]}")
    check(json.loads(new[1][1]) == odd, new[1])
    check(new[2][1].decode() == text, "the lines were changed")


def check_firehose(cloud, client):
    """Each record is a line of the object, whether it ended with one or not."""
    body = {"Records": [entry(record(1)), entry(record(2), end="\n")]}
    reply = expect(client.send(cloud.url("/firehose/records"), body), 200)
    check(len(reply.json["RequestResponses"]) == 2, reply)
    expect(client.send(cloud.url("/firehose/array"), {"records": [record(3), record(4)]}), 200)
    expect(client.send(cloud.url("/firehose/lines"), f"{line(record(5))}\n{line(record(6))}\n",
                       kind="application/x-ndjson"), 200)
    expect(client.send(cloud.url("/firehose/single"), line(record(7))), 200)
    cloud.flush()
    objects = dict(cloud.objects())
    check(len(objects) == 1 and list(cloud.records()) == [record(seq) for seq in range(1, 8)],
          objects)


def bodies(run):
    cloud = Cloud(run, resolve(), "--shards", "1", name="bodies")
    check_records(cloud, signer(cloud))
    check_bodies(cloud, signer(cloud))
    check_firehose(cloud, signer(cloud))
    cloud.stop()


# -- what is refused

def check_schema(cloud, client):
    url = cloud.url("/records")
    good = entry(record(1))
    for body in ("no JSON", {}, {"Records": []}, {"Records": [{"Data": "eA=="}]},
                 {"Records": [good] * 501}, {"Records": [{**good, "PartitionKey": "x" * 257}]},
                 {"Records": [good], "StreamName": "another"}):
        expect(client.send(url, body), 400, "BadRequestException", "Invalid request body")
    expect(client.send(cloud.url("/single"), {"device": DEVICE}), 400, "BadRequestException")
    expect(client.send(cloud.url("/array"), {"records": [record("1")]}), 400)


def check_types(cloud, client):
    body = {"Records": [entry(record(1))]}
    url = cloud.url("/records")
    for kind in ("text/plain", "application/x-ndjson", "application/x-amz-json-1.1"):
        expect(client.send(url, body, kind=kind), 415, None, "Unsupported Media Type")
    expect(client.send(url, body, kind="application/json; charset=utf-8"), 200)
    expect(client.send(url, body, Content_Encoding="br"), 415)
    expect(client.send(url, body, Content_Encoding="gzip"), 415)


def check_sizes(cloud, client):
    data = "A" * (10 << 20)
    expect(client.send(cloud.url("/records"), {"Records": [{"Data": data, "PartitionKey": "k"}]}),
           413, "RequestTooLargeException", "Request Too Long")
    expect(client.zipped(cloud.url("/records"), {"Records": [{"Data": data, "PartitionKey": "k"}]}),
           413)


def check_paths(cloud, client):
    expect(client.send(cloud.url("/nowhere"), {}), 403, "MissingAuthenticationTokenException",
           "Missing Authentication Token")
    expect(client.send(cloud.url("/records"), "", method="PUT"), 403,
           "MissingAuthenticationTokenException")
    expect(client.send(cloud.url("/records").replace("/prod/", "/test/"), {}), 403,
           "ForbiddenException")


def check_signatures(cloud):
    body = {"Records": [entry(record(1))]}
    url = cloud.url("/records")
    known = (harness.ACCESS_KEY, harness.SECRET_KEY)
    expect(Client(cloud.ca).send(url, body), 403, "MissingAuthenticationTokenException")
    expect(Client(cloud.ca, (known[0], "another")).send(url, body), 403,
           "InvalidSignatureException", "does not match")
    expect(Client(cloud.ca, ("AKIDUNKNOWN", "another")).send(url, body), 403,
           "UnrecognizedClientException")
    expect(Client(cloud.ca, (*known, "token")).send(url, body), 403, "UnrecognizedClientException")
    expect(Client(cloud.ca, known, region="us-east-1").send(url, body), 403,
           "InvalidSignatureException", "eu-west-1/execute-api")
    expect(Client(cloud.ca, known, service="kinesis").send(url, body), 403)

    def age(headers):
        headers["X-Amz-Date"] = "20200101T000000Z"

    expect(signer(cloud).send(url, body, spoil=age), 403, "InvalidSignatureException",
           "Signature expired")
    cloud.ask("/keys", {"access_key": "AKIDOLD", "secret_key": "s", "session_token": "t",
                        "expired": True})
    expect(Client(cloud.ca, ("AKIDOLD", "s", "t")).send(url, body), 403, "ExpiredTokenException")


def check_curl(cloud):
    """A third signer."""
    result = subprocess.run(
        ["curl", "-sS", "--noproxy", "*", "--cacert", cloud.ca, "--aws-sigv4",
         "aws:amz:eu-west-1:execute-api", "--user", f"{harness.ACCESS_KEY}:{harness.SECRET_KEY}",
         "-H", "Content-Type: application/json", "-d", json.dumps(record(1)),
         "-w", "%{http_code}", cloud.url("/single")],
        capture_output=True, text=True, check=True, timeout=60)
    check(result.stdout.endswith("200"), result.stdout)


def refused(run):
    cloud = Cloud(run, resolve(), name="refused")
    client = signer(cloud)
    check_schema(cloud, client)
    check(not list(cloud.stored()), "what was refused is in the stream")
    check_types(cloud, client)
    check_sizes(cloud, client)
    check_paths(cloud, client)
    check_signatures(cloud)
    check_curl(cloud)
    cloud.stop()


# -- what a gateway's role and its certificate are good for

def check_role(cloud, client):
    """The role of gateways may put, and no more."""
    cloud.use_role()
    expect(client.send(cloud.url("/single"), record(1)), 200)
    cloud.use_role("ApiKinesisPutRecordsRole")
    expect(client.send(cloud.url("/single"), record(1)), 403, "AccessDeniedException",
           "not authorized to perform: execute-api:Invoke")


def role(run):
    cloud = Cloud(run, resolve(), name="role")
    check_role(cloud, signer(cloud))
    cloud.stop()


def make_certificate(folder):
    """An authority of clients that has signed itself, and is a client, too."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=gw-1", "-days", "2",
                    "-keyout", folder / "client.key", "-out", folder / "client.pem"],
                   check=True, capture_output=True)
    return folder / "client.pem", folder / "client.key"


def mutual(run):
    files = make_certificate(run.folder)
    cloud = Cloud(run, resolve(), "--client-ca", files[0], name="mutual")
    client = signer(cloud)
    try:
        raise harness.Failure(f"without a certificate: {client.send(cloud.url('/single'), {})}")
    except OSError:
        pass
    client.context.load_cert_chain(*files)
    expect(client.send(cloud.url("/single"), record(1)), 200)
    cloud.stop()


# -- API keys and user pools

def check_keys(cloud):
    client = Client(cloud.ca)
    url, body = cloud.url("/single"), record(1)
    expect(client.send(url, body), 403, "ForbiddenException", "Forbidden")
    expect(client.send(url, body, x_api_key="another"), 403, "ForbiddenException")
    expect(client.send(url, body, x_api_key=cloud.api_keys[0]), 200)
    expect(client.send(url, body, x_api_key=cloud.api_keys[0]), 200)
    expect(client.send(url, body, x_api_key=cloud.api_keys[0]), 429, "LimitExceededException",
           "Limit Exceeded")


def keys(run):
    cloud = Cloud(run, resolve(ApiAuth="api-key", ApiKeyQuotaPerDay="2"), name="keys")
    check_keys(cloud)
    cloud.stop()


def token_of(cloud, client, **form):
    (name, secret), = cloud.clients.items()
    form = {"grant_type": "client_credentials", "scope": "telemetry/write", **form}
    text = "&".join(f"{key}={value}" for key, value in form.items())
    basic = f"{name}:{form.pop('secret', secret)}".encode()
    return client.send(cloud.token_url, text, kind="application/x-www-form-urlencoded",
                       Authorization="Basic " + base64.b64encode(basic).decode())


def check_pool(cloud):
    client = Client(cloud.ca)
    url, body = cloud.url("/single"), record(1)
    expect(token_of(cloud, client, scope="telemetry/read"), 400, None, "invalid_scope")
    expect(token_of(cloud, client, secret="another"), 400, None, "invalid_client")
    expect(token_of(cloud, client, grant_type="password"), 400, None, "unsupported_grant_type")
    given = expect(token_of(cloud, client), 200).json
    check(given["expires_in"] == 3600 and given["token_type"] == "Bearer", given)
    token = given["access_token"]
    expect(client.send(url, body), 401, "UnauthorizedException", "Unauthorized")
    expect(client.send(url, body, Authorization="Bearer " + token), 200)
    forged = token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")
    expect(client.send(url, body, Authorization="Bearer " + forged), 401)
    cloud.ask("/tokens", {"revoke": True})
    expect(client.send(url, body, Authorization="Bearer " + token), 401, "UnauthorizedException",
           "expired")


def pool(run):
    cloud = Cloud(run, resolve(ApiAuth="cognito"), name="pool")
    check_pool(cloud)
    cloud.stop()


# -- functions behind the API and in front of it

def check_proxy(cloud, client):
    """What is behind it is asked by a function: the same bodies, replies that tell as much."""
    check_records(cloud, client, "/lambda")
    check_bodies(cloud, client, "/lambda")
    body = {"Records": [entry(record(seq)) for seq in range(3)]}
    cloud.faults(records=2)
    reply = expect(client.send(cloud.url("/lambda/records"), body), 200).json
    check([bool(one.get("ErrorCode")) for one in reply["Records"]] == [True, True, False], reply)
    cloud.faults(records=3)
    check(expect(client.send(cloud.url("/lambda/records"), body), 429).headers["Retry-After"],
          "no Retry-After")
    expect(client.send(cloud.url("/lambda/lines"), line(record(1, note="x" * (6 << 20))),
                       kind="application/x-ndjson"), 413)


def proxy(run):
    cloud = Cloud(run, resolve(ApiLambda="on"), "--shards", "1", name="proxy")
    check_proxy(cloud, signer(cloud))
    cloud.stop()


def check_authorizer(cloud):
    client, url = Client(cloud.ca), cloud.url("/single")
    token, other = "a" * 64, "b" * 64
    digest = hashlib.sha256(token.encode()).hexdigest()
    (secret,) = cloud.of_type("AWS::SecretsManager::Secret")
    cloud.ask("/secret", {"name": secret, "value": json.dumps({digest: {"device": DEVICE}})})
    expect(client.send(url, record(1)), 401, "UnauthorizedException", "Unauthorized")
    expect(client.send(url, record(1), Authorization="Bearer " + other), 403,
           "AccessDeniedException", "not authorized")
    for _ in range(3):
        expect(client.send(url, record(1), Authorization="Bearer " + token), 200)
    reads = cloud.summary()["secretReads"]
    cloud.faults(**{"lambda": 2})
    expect(client.send(url, record(1), Authorization="Bearer " + token), 200)
    expect(client.send(url, record(1), Authorization="Bearer " + "c" * 64), 500,
           "AuthorizerConfigurationException")
    check(cloud.summary()["secretReads"] == reads, "the secret is read for every request")


def authorizer(run):
    cloud = Cloud(run, resolve(ApiAuth="lambda"), name="authorizer")
    check_authorizer(cloud)
    cloud.stop()


# -- limits

def slow(resolved, *paths):
    """So that no token comes back while a test runs."""
    for setting in resolved["Resources"]["Stage"]["Properties"]["MethodSettings"]:
        if setting["ResourcePath"] in paths:
            setting.update(ThrottlingRateLimit=0.001, ThrottlingBurstLimit=2)
    return resolved


def check_limits(cloud, client):
    """/single has a setting of its own; the others go by the stage's, each for itself."""
    for path, body in (("/single", record(1)), ("/array", {"records": [record(1)]}),
                       ("/records", {"Records": [entry(record(1))]})):
        for _ in range(2):
            expect(client.send(cloud.url(path), body), 200)
        expect(client.send(cloud.url(path), body), 429, "TooManyRequestsException",
               "Too Many Requests")


def limits(run):
    cloud = Cloud(run, slow(resolve(), "/*", "/~1single"), name="limits")
    check_limits(cloud, signer(cloud))
    cloud.stop()


# -- private APIs and web ACLs

def check_private(cloud, client):
    url, body = cloud.url("/single"), record(1)
    expect(client.send(url, body), 403, "ForbiddenException")
    expect(client.send(url, body, x_apigw_api_id=cloud.told["apiId"]), 403, "AccessDeniedException")
    cloud.ask("/vpc-endpoint", {"id": "vpce-0a"})
    expect(client.send(url, body, x_apigw_api_id=cloud.told["apiId"]), 200)
    expect(client.send(url, body,
                       Host=f"{cloud.told['apiId']}.execute-api.eu-west-1.amazonaws.com"), 200)


def check_firewall(cloud, client):
    def send(kib):
        return client.send(cloud.url("/single"), record(1, note="x" * (kib << 10)),
                           x_apigw_api_id=cloud.told["apiId"])

    expect(send(15), 200)
    expect(send(17), 413)


def private(run):
    cloud = Cloud(run, resolve(Api="private", ApiPrivateEndpoint="vpce-0a", Waf="on",
                               WafBodyKiB="16"), name="private")
    check_private(cloud, signer(cloud))
    check_firewall(cloud, signer(cloud))
    cloud.stop()


# -- faults

def check_throttled(cloud, client):
    """What the service behind says of its pace is not hidden in a 200."""
    body = {"Records": [entry(record(1))]}
    cloud.faults(slow_down=1)
    expect(client.send(cloud.url("/records"), body), 429, None, "ProvisionedThroughputExceeded")
    cloud.faults(slow_down=1)
    expect(client.send(cloud.url("/firehose/records"), body), 503, None, "ServiceUnavailable")
    cloud.faults(error=1)
    expect(client.send(cloud.url("/records"), body), 502, None, "InternalFailure")


def check_partial(cloud, client):
    cloud.faults(records=2)
    reply = expect(client.send(cloud.url("/records"),
                               {"Records": [entry(record(seq)) for seq in range(5)]}), 200).json
    failed = [bool(one.get("ErrorCode")) for one in reply["Records"]]
    check(failed == [True, True, False, False, False] and reply["FailedRecordCount"] == 2, reply)
    cloud.faults(records=5)
    reply = expect(client.send(cloud.url("/firehose/records"),
                               {"Records": [entry(record(1))] * 5}), 200).json
    check(reply["FailedPutCount"] == 5, reply)


def check_replies(cloud, client):
    """Before the method, and after it."""
    before = len(list(cloud.stored()))

    def send():
        return client.send(cloud.url("/single"), record(1))

    for fault, status in (("throttle", 429), ("unavailable", 503), ("html", 200), ("portal", 302),
                          ("empty", 202)):
        cloud.faults(**{fault: 1})
        expect(send(), status)
    for fault in ("reset", "lost", "cut"):
        cloud.faults(**{fault: 1})
        try:
            raise harness.Failure(f"{fault}: a whole reply: {send()}")
        except (http.client.HTTPException, OSError):
            pass
    check(len(list(cloud.stored())) == before + 3,
          "empty, lost and cut are stored, and nothing else")


def check_away(cloud, client):
    """Kinesis comes back with what it had."""
    before = len(list(cloud.stored()))
    cloud.faults(away={"at": 2, "times": 2})
    for status in (200, 504, 504, 200):
        expect(client.send(cloud.url("/single"), record(1)), status)
    check(len(list(cloud.stored())) == before + 2, "what came before it went away is gone")
    cloud.faults(away=1)
    expect(client.send(cloud.url("/firehose/single"), record(1)), 504, None, "Network error")


def faults(run):
    cloud = Cloud(run, resolve(), name="faults")
    client = signer(cloud)
    check_away(cloud, client)
    check_throttled(cloud, client)
    check_replies(cloud, client)
    check_partial(cloud, client)
    cloud.stop()


# -- controls

def everything_is_200(resolved):
    """As in API Gateway's own sample."""
    method = resolved["Resources"]["KinesisRecordsMethod"]["Properties"]
    method["Integration"]["IntegrationResponses"] = [{"StatusCode": "200"}]


def no_validation(resolved):
    resolved["Resources"]["BodyValidator"]["Properties"]["ValidateRequestBody"] = False


def any_type_passes(resolved):
    method = resolved["Resources"]["KinesisRecordsMethod"]["Properties"]
    method["Integration"]["PassthroughBehavior"] = "WHEN_NO_MATCH"


def no_settings(resolved):
    resolved["Resources"]["Stage"]["Properties"]["MethodSettings"] = []


def other_stream(resolved):
    """The role lets API Gateway write into another stream than the template names."""
    role = resolved["Resources"]["ApiKinesisPutRecordsRole"]["Properties"]
    role["Policies"][0]["PolicyDocument"]["Statement"][0]["Resource"] += "-2"


def object_to_string(resolved):
    """The classic mistake: base64 of a document instead of its text."""
    templates = resolved["Resources"]["KinesisArrayMethod"]["Properties"]["Integration"]
    templates["RequestTemplates"]["application/json"] = \
        templates["RequestTemplates"]["application/json"].replace(
            '$input.json("$.records[$foreach.index]")', "$record")


def no_key(resolved):
    resolved["Resources"]["KinesisSingleMethod"]["Properties"]["ApiKeyRequired"] = False


def no_quota(resolved):
    del resolved["Resources"]["UsagePlan"]["Properties"]["Quota"]


def other_scope(resolved):
    """A token that is good, for something else."""
    method = resolved["Resources"]["KinesisSingleMethod"]["Properties"]
    method["AuthorizationScopes"] = ["telemetry/admin"]


def open_policy(resolved):
    del resolved["Resources"]["RestApi"]["Properties"]["Policy"]["Statement"][0]["Condition"]


def narrow_role(resolved):
    policy = resolved["Resources"]["GatewayRole"]["Properties"]["Policies"][0]["PolicyDocument"]
    policy["Statement"] = [one for one in policy["Statement"]
                           if one["Action"] != "execute-api:Invoke"]


# What is planted, the check that must find it, and the parameters of the template.
CONTROLS = (
    (everything_is_200, check_throttled, {}), (no_validation, check_schema, {}),
    (any_type_passes, check_types, {}), (no_settings, check_limits, {}),
    (other_stream, check_records, {}), (object_to_string, check_bodies, {}),
    (narrow_role, check_role, {}),
    (no_key, check_keys, {"ApiAuth": "api-key", "ApiKeyQuotaPerDay": "2"}),
    (no_quota, check_keys, {"ApiAuth": "api-key", "ApiKeyQuotaPerDay": "2"}),
    (other_scope, check_pool, {"ApiAuth": "cognito"}),
    (open_policy, check_private, {"Api": "private", "ApiPrivateEndpoint": "vpce-0a"}),
)


def controls(run):
    for plant, find, parameters in CONTROLS:
        resolved = resolve(**parameters)
        plant(resolved)
        cloud = Cloud(run, resolved, "--shards", "1", name=plant.__name__)
        try:
            find(cloud, *([] if parameters.get("ApiAuth") else [signer(cloud)]))
        except harness.Failure:
            cloud.stop()
            continue
        raise harness.Failure(f"{find.__name__} did not find {plant.__name__}")


CASES = {one.__name__: one for one in
         (bodies, refused, role, mutual, keys, pool, proxy, authorizer, limits, private, faults,
          controls)}

if __name__ == "__main__":
    run_cases(__doc__, CASES)
