#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
platform/aws/template.yaml: what each choice of its parameters makes, and that the functions behind
it get what their code asks for. checks.py says what a check is.
"""
import ast
import unittest

import checks
import fakes  # finds the functions
import consumer
import fleet
import trino
import variants
from checks import listed, of_type

LAMBDA = variants.TEMPLATE.parent / "lambda"
# What botocore calls a client's method, where IAM calls its action otherwise.
ACTIONS = {"dynamodb:TransactWriteItems": "dynamodb:PutItem",
           "ssm:GetParametersByPath": None}  # a place for tokens that this template has not
# What the service does in the function's name, not its code.
READS_STREAM = {f"kinesis:{name}" for name in (
    "DescribeStream", "DescribeStreamSummary", "GetRecords", "GetShardIterator", "ListShards")}
LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}
# What Athena does with the rights of who asks.
READS_TABLES = {"glue:GetDatabase", "glue:GetPartitions", "glue:GetTable",
                "s3:AbortMultipartUpload", "s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket",
                "s3:ListBucketMultipartUploads", "s3:ListMultipartUploadParts"}
BY_SERVICE = {"consumer": READS_STREAM, "fleet": READS_TABLES}


def only(template, kind):
    """The properties of the one resource of a type; None: there is none."""
    found = of_type(template, kind)
    if len(found) > 1:
        raise ValueError(f"{len(found)} of {kind}")
    return found[0][1] if found else None


def called_in(module, seen):
    """(client, method) of every services.CLIENT.METHOD in MODULE and in what it imports."""
    file = LAMBDA / f"{module}.py"
    if module in seen or not file.is_file():
        return
    seen.add(module)
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for one in node.names:
                yield from called_in(one.name, seen)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and \
                ast.unparse(node.value.value).endswith("services"):
            yield node.value.attr, node.attr


def actions_of(module):
    """What MODULE asks of AWS, as IAM calls it."""
    asked = {f"{client}:{''.join(part.title() for part in method.split('_'))}"
             for client, method in called_in(module, set())}
    return {ACTIONS.get(one, one) for one in asked} - {None}


def check_permissions(template):
    """A function may what its code asks for: no less, and no more than its target needs."""
    roles = {name: one for name, one in of_type(template, "AWS::IAM::Role")}
    for name, one in of_type(template, "AWS::Lambda::Function"):
        module = one["Handler"].split(".")[0]
        allowed = {action for policy in roles[one["Role"].rsplit("/", 1)[1]]["Policies"]
                   for statement in policy["PolicyDocument"]["Statement"]
                   for action in listed(statement["Action"])}
        wanted = actions_of(module) | LOGS | BY_SERVICE.get(module, set())
        if module == "proxy":
            wanted -= {"firehose:PutRecordBatch" if "STREAM" in one["Environment"]["Variables"]
                       else "kinesis:PutRecords"}
        given = {action for action in allowed if not action.startswith("kms:")}
        if given != wanted:
            yield f"{name}: {sorted(given ^ wanted)}"
    for name, one in of_type(template, "AWS::IAM::ManagedPolicy"):
        given = {action for statement in one["PolicyDocument"]["Statement"]
                 for action in listed(statement["Action"])}
        if not actions_of("consumer") <= given:
            yield f"{name}: {sorted(actions_of('consumer') - given)}"


def check_retries(template):
    """The mapping gives up no record, calls in the shard's order, and remembers for long enough."""
    mapping = only(template, "AWS::Lambda::EventSourceMapping")
    if mapping is None:
        return
    wanted = {"MaximumRetryAttempts": -1, "MaximumRecordAgeInSeconds": -1,
              "ParallelizationFactor": 1, "BisectBatchOnFunctionError": True,
              "FunctionResponseTypes": ["ReportBatchItemFailures"],
              "StartingPosition": "TRIM_HORIZON"}
    for name, value in wanted.items():
        if mapping.get(name) != value:
            yield f"{name} is {mapping.get(name)}"
    if not mapping["DestinationConfig"]["OnFailure"]["Destination"].startswith("arn:aws:sqs:"):
        yield "no dead letters"
    function = template["Resources"]["ConsumerFunction"]["Properties"]
    days = int(function["Environment"]["Variables"]["IDENTITY_DAYS"])
    stream = only(template, "AWS::Kinesis::Stream")
    if days * 24 <= int(stream["RetentionPeriodHours"]):
        yield f"{days} days are less than the stream's {stream['RetentionPeriodHours']} hours"


def check_endpoint(template):
    """A private API is reached by its endpoint alone, and the endpoint reaches nothing else."""
    api = only(template, "AWS::ApiGateway::RestApi")
    chosen = template["Parameters"]["Api"]
    if (api is None) != (chosen == "none"):
        yield f"{chosen}: {api}"
    if api is None:
        return
    kinds = api["EndpointConfiguration"]["Types"]
    if kinds != [chosen.upper()] or (chosen == "private") != ("Policy" in api):
        yield f"{chosen}: {kinds}, policy {api.get('Policy')}"
    if chosen != "private":
        return
    endpoint, = api["EndpointConfiguration"]["VpcEndpointIds"]
    if api["Policy"]["Statement"][0]["Condition"] != {"StringEquals": {"aws:SourceVpce": endpoint}}:
        yield f"not by {endpoint}: {api['Policy']}"
    for _, made in of_type(template, "AWS::EC2::VPCEndpoint"):
        statement, = made["PolicyDocument"]["Statement"]
        if statement["Action"] != "execute-api:Invoke" or ":*/" not in statement["Resource"] or \
                not statement["Resource"].endswith("/POST/*"):
            yield f"the endpoint lets through {statement}"


def check_throttles(template):
    """The stage has its limits, and each method of one record a request a lower one."""
    stage = only(template, "AWS::ApiGateway::Stage")
    if stage is None:
        return
    limits = {one["ResourcePath"]: (one["ThrottlingRateLimit"], one["ThrottlingBurstLimit"])
              for one in stage["MethodSettings"]}
    given = template["Parameters"]
    wanted = {"/*": (given["ApiThrottleRate"], given["ApiThrottleBurst"])}
    for path, name in (("/~1single", "Kinesis"), ("/~1firehose~1single", "Firehose"),
                       ("/~1lambda~1single", "Lambda")):
        if f"{name}SingleMethod" in template["Resources"]:
            wanted[path] = (given["ApiSingleRate"], given["ApiSingleRate"])
    if limits != wanted:
        yield f"{limits}"
    if (given["ApiAccessLogs"] == "on") != ("AccessLogSetting" in stage):
        yield "access logs"


def check_key_plan(template):
    """By API key: a plan with a quota and limits, bound to the stage, and the key bound to it."""
    plan, link = (only(template, f"AWS::ApiGateway::UsagePlan{one}") for one in ("", "Key"))
    given = template["Parameters"]
    if (plan is not None) != (given["ApiAuth"] == "api-key" and given["Api"] != "none"):
        yield "a plan without keys, or keys without a plan"
    if plan is None:
        return
    if plan["Throttle"] != {"RateLimit": given["ApiThrottleRate"],
                            "BurstLimit": given["ApiThrottleBurst"]}:
        yield f"{plan['Throttle']}"
    if plan["Quota"] != {"Limit": given["ApiKeyQuotaPerDay"], "Period": "DAY"}:
        yield f"{plan['Quota']}"
    if plan["ApiStages"] != [{"ApiId": "RestApi", "Stage": "Stage"}] or \
            (link["KeyId"], link["UsagePlanId"], link["KeyType"]) != \
            ("ApiKey", "UsagePlan", "API_KEY"):
        yield f"not bound: {plan['ApiStages']}, {link}"


def check_user_pool(template):
    """By Cognito: a machine's client may ask for the scope, and every method asks for it."""
    client = only(template, "AWS::Cognito::UserPoolClient")
    if client is None:
        return
    server = only(template, "AWS::Cognito::UserPoolResourceServer")
    scopes = [f"{server['Identifier']}/{one['ScopeName']}" for one in server["Scopes"]]
    if client["AllowedOAuthScopes"] != scopes or not client["GenerateSecret"] or \
            client["AllowedOAuthFlows"] != ["client_credentials"] or \
            not client["AllowedOAuthFlowsUserPoolClient"]:
        yield f"{client}"
    if only(template, "AWS::Cognito::UserPoolDomain")["UserPoolId"] != client["UserPoolId"]:
        yield "the domain is another pool's"
    for name, method in of_type(template, "AWS::ApiGateway::Method"):
        if method["AuthorizationScopes"] != scopes or \
                method["AuthorizerId"] != "UserPoolAuthorizer":
            yield f"{name}: {method['AuthorizationScopes']}"


def check_firewall(template):
    """The web ACL's body rule fits WafBodyKiB, answers 413, and stands in front of the stage."""
    acl = only(template, "AWS::WAFv2::WebACL")
    given = template["Parameters"]
    if (acl is not None) != (given["Waf"] == "on" and given["Api"] != "none"):
        yield f"{given['Waf']}: {acl}"
    if acl is None:
        return
    rule = acl["Rules"][0]
    size = rule["Statement"]["SizeConstraintStatement"]
    seen = acl["AssociationConfig"]["RequestBody"]["API_GATEWAY"]["DefaultSizeInspectionLimit"]
    if (str(size["Size"]), seen) != (str(int(given["WafBodyKiB"]) * 1024),
                                     f"KB_{given['WafBodyKiB']}"):
        yield f"{size['Size']} bytes of {seen}"
    if rule["Action"]["Block"]["CustomResponse"]["ResponseCode"] != 413:
        yield "no 413"
    group = acl["Rules"][1]["Statement"]["ManagedRuleGroupStatement"]
    if {"Name": "SizeRestrictions_BODY", "ActionToUse": {"Count": {}}} not in \
            group["RuleActionOverrides"]:
        yield "bodies end at 8 KB"
    if not only(template, "AWS::WAFv2::WebACLAssociation")["ResourceArn"].endswith(
            "/restapis/RestApi/stages/Stage"):
        yield "in front of another stage"


# What holds records, or opens the way to them.
STORES = ("AWS::Kinesis::Stream", "AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::S3::Bucket",
          "AWS::KinesisFirehose::DeliveryStream", "AWS::SecretsManager::Secret",
          "AWS::Athena::WorkGroup")


def check_keys(template):
    """Encryption kms: all that holds records has the stack's key, which turns; service: none."""
    is_own = template["Parameters"]["Encryption"] == "kms"
    key = only(template, "AWS::KMS::Key")
    if (key is not None) != is_own or (is_own and key["EnableKeyRotation"] is not True):
        yield f"{key}"
    for kind in STORES:
        for name, one in of_type(template, kind):
            if (":key/Key" in str(one)) != is_own:
                yield f"{name}: not as {template['Parameters']['Encryption']} says"
    stream = only(template, "AWS::Kinesis::Stream")
    if stream and stream["StreamEncryption"]["EncryptionType"] != "KMS":
        yield "the stream is not encrypted"


def check_bucket(template):
    """Versions, encryption, and the classes and ends that the parameters say."""
    bucket = only(template, "AWS::S3::Bucket")
    given = template["Parameters"]
    rules = bucket["LifecycleConfiguration"]["Rules"]
    moves = [str(move["TransitionInDays"]) for one in rules for move in one.get("Transitions", [])]
    ends = [str(one["ExpirationInDays"]) for one in rules
            if "ExpirationInDays" in one and "Prefix" not in one]
    if moves != [given["ArchiveAfterDays"]] * (given["ArchiveAfterDays"] != "0"):
        yield f"moves after {moves}"
    if ends != [given["ExpireAfterDays"]] * (given["ExpireAfterDays"] != "0"):
        yield f"ends after {ends}"
    if bucket["VersioningConfiguration"] != {"Status": "Enabled"} or "BucketEncryption" not in \
            bucket:
        yield "no versions, or not encrypted"


# What each part of the stack is watched for: (service, metric or its end, what is there then).
WATCHED = (
    ("ApiGateway", "4XXError", "RestApi"), ("ApiGateway", "5XXError", "RestApi"),
    ("Kinesis", "PutRecords.ThrottledRecords", "Stream"),
    ("Kinesis", "WriteProvisionedThroughputExceeded", "Stream"),
    ("Kinesis", "GetRecords.IteratorAgeMilliseconds", "Stream"),
    ("Lambda", "IteratorAge", "ConsumerFunction"), ("Lambda", "Errors", "ConsumerFunction"),
    ("SQS", "ApproximateNumberOfMessagesVisible", "DeadLetters"),
    ("DynamoDB", "WriteThrottleEvents", "Identities"),
    ("Firehose", "ThrottledRecords", "DeliveryStream"), ("Firehose", "Success", "DeliveryStream"),
    ("Firehose", "DataFreshness", "DeliveryStream"))


def check_watch(template):
    """Throttling, age, failures and dead letters ring, where they can be, and tell the topic."""
    alarms = [one for _, one in of_type(template, "AWS::CloudWatch::Alarm")]
    topic = "arn:aws:sns:eu-west-1:123456789012:Alarms"
    for service, metric, name in WATCHED:
        ring = [one for one in alarms if one["Namespace"] == f"AWS/{service}"
                and one["MetricName"].endswith(metric)]
        if (name in template["Resources"]) != bool(ring):
            yield f"{metric}: {len(ring)} alarms"
    for one in alarms:
        if one["AlarmActions"] != [topic] or not one["Dimensions"]:
            yield f"{one['MetricName']}: {one['AlarmActions']}"
    subscribed = only(template, "AWS::SNS::Subscription")
    if (subscribed is not None) != (template["Parameters"]["AlarmEmail"] != ""):
        yield "the subscriber"


def check_firehose(template):
    """Firehose has one destination, the one that is chosen, and source and backup as chosen."""
    one = only(template, "AWS::KinesisFirehose::DeliveryStream")
    given = template["Parameters"]
    if (one is not None) != (given["Firehose"] != "none"):
        yield f"{given['Firehose']}: {one}"
    if one is None:
        return
    kinds = {"s3": "ExtendedS3", "opensearch": "Amazonopensearchservice", "redshift": "Redshift",
             "http": "HttpEndpoint"}
    found = [name for name in one if name.endswith("DestinationConfiguration")]
    if found != [kinds[given["FirehoseTo"]] + "DestinationConfiguration"]:
        yield f"{given['FirehoseTo']}: {found}"
    if (given["Firehose"] == "stream") != ("KinesisStreamSourceConfiguration" in one):
        yield "the source"
    target = one[found[0]]
    keeps = target["S3BackupMode"] in ("Enabled", "AllDocuments", "AllData")
    if keeps != (given["SourceBackup"] == "on"):
        yield f"backup {target['S3BackupMode']}"
    processors = [each["Type"] for each in
                  target.get("ProcessingConfiguration", {}).get("Processors", [])]
    if ("Lambda" in processors) != (given["Transform"] == "on"):
        yield f"processors {processors}"
    schema = target.get("DataFormatConversionConfiguration", {}).get(
        "OutputFormatConfiguration", {}).get("Serializer", {})
    wanted = {"json": {}, "orc": {"OrcSerDe": {"Compression": "SNAPPY"}},
              "parquet": {"ParquetSerDe": {"Compression": "SNAPPY"}}}[given["FirehoseFormat"]]
    if schema != wanted:
        yield f"{given['FirehoseFormat']}: {schema}"


def check_stream(template):
    """On demand or with shards, and kept for as long as is said."""
    stream = only(template, "AWS::Kinesis::Stream")
    given = template["Parameters"]
    if (stream is None) != (given["StreamMode"] == "none"):
        yield f"{given['StreamMode']}: {stream}"
    if stream is None:
        return
    mode = {"shards": "PROVISIONED", "on-demand": "ON_DEMAND"}[given["StreamMode"]]
    shards = given["Shards"] if mode == "PROVISIONED" else None
    if (stream["StreamModeDetails"], stream.get("ShardCount"), stream["RetentionPeriodHours"]) != \
            ({"StreamMode": mode}, shards, given["StreamHours"]):
        yield f"{stream}"


def tables_of_fleet(given):
    """Whose records the count has to read: each record once."""
    consumes = given["StreamMode"] != "none" and given["Consumer"] != "none"
    if given["Fleet"] == "off":
        return []
    delivers = given["Firehose"] != "none" and given["FirehoseTo"] == "s3"
    is_same = given["Firehose"] == "stream" and consumes
    return ["records"] * consumes + ["lake"] * (delivers and not is_same)


# Hive's types of what fleet.py lets through.
COLUMNS = {str: "string", int: "bigint", bool: "boolean"}


def check_fleet(template):
    """Who counts the devices, out of which tables, and for how long one is waited for."""
    given, resources = template["Parameters"], template["Resources"]
    tables = tables_of_fleet(given)
    for name in ("FleetFunction", "FleetSchedule", "FleetView", "HealthTable", "RetiredTable",
                 "SilentQuery", "VersionsQuery", "EvictionsQuery", "CertificatesQuery",
                 "ClocksQuery"):
        if (name in resources) != bool(tables):
            yield f"{name}: {name in resources} for {tables}"
    if not tables:
        return
    function, schedule, health, silent = (
        resources[name]["Properties"]
        for name in ("FleetFunction", "FleetSchedule", "HealthTable", "SilentQuery"))
    variables = function["Environment"]["Variables"]
    if (variables["TABLES"].split(","), variables["SILENT_HOURS"]) != (tables,
                                                                       given["SilentHours"]):
        yield f"{variables}"
    if f"silent_h >= {given['SilentHours']}\n" not in silent["QueryString"]:
        yield f"{silent['QueryString']}"
    if f"INTERVAL '{given['RetireDays']}' DAY" not in trino.view_of(template)["originalSql"]:
        yield f"not retired after {given['RetireDays']} days"
    columns = {one["Name"]: one["Type"]
               for one in health["TableInput"]["StorageDescriptor"]["Columns"]}
    if columns != {"device": "string", "spool": "string", "heard": "string", "seq": "bigint",
                   **{name: COLUMNS[kind] for name, kind in fleet.MEMBERS.items()}}:
        yield f"{sorted(columns)}"
    retries = only(template, "AWS::Lambda::EventInvokeConfig")
    if retries["FunctionName"] != function["FunctionName"] or retries["MaximumRetryAttempts"] > 1:
        yield f"a count that fails is made again and again: {retries}"
    role = resources[schedule["Target"]["RoleArn"].rsplit("/", 1)[1]]["Properties"]
    if str(role["Policies"]).count(schedule["Target"]["Arn"]) != 1 or \
            not schedule["Target"]["Arn"].endswith(":" + function["FunctionName"]):
        yield f"{schedule['Target']}"


def check_silent(template):
    """So many silent devices ring, and so does a count that fails to come; none where it is 0."""
    given = template["Parameters"]
    alarm = template["Resources"].get("SilentDevicesAlarm", {}).get("Properties")
    if (alarm is not None) != (tables_of_fleet(given) != [] and given["SilentDevices"] != "0"):
        yield f"{given['SilentDevices']}: {alarm}"
    if alarm is None:
        return
    stack = template["Resources"]["FleetFunction"]["Properties"]["Environment"]["Variables"][
        "STACK"]
    wanted = {"Namespace": "runnel", "MetricName": "SilentDevices", "Statistic": "Maximum",
              "Dimensions": [{"Name": "Stack", "Value": stack}],
              "Threshold": given["SilentDevices"], "TreatMissingData": "breaching",
              "ComparisonOperator": "GreaterThanOrEqualToThreshold"}
    for name, value in wanted.items():
        if alarm[name] != value:
            yield f"{name} is {alarm[name]}"
    # Two counts at least are in it.
    if alarm["Period"] * alarm["EvaluationPeriods"] < 7200:
        yield "a single count that is late rings"


CHECKS = {
    check_fleet: [
        ("- !If [FleetInLake, lake, !Ref AWS::NoValue]", "- lake"),
        ("FleetInLake: !And [!Condition FirehoseToS3, !Not [!Condition SameAsRecords]]",
         "FleetInLake: !And [!Condition FirehoseToS3, !Not [!Condition FromStream]]"),
        ("      MaximumRetryAttempts: 1\n", "      MaximumRetryAttempts: 2\n"),
        ("SILENT_HOURS: !Ref SilentHours", 'SILENT_HOURS: "3"'),
        ("INTERVAL '${RetireDays}' DAY", "INTERVAL '14' DAY"),
        ("WHERE silent_h >= ${SilentHours}", "WHERE silent_h > ${SilentHours}"),
        ("{Name: link_bytes, Type: bigint, Comment: Of the month}", "{Name: link, Type: bigint}"),
        ("{Effect: Allow, Action: lambda:InvokeFunction, Resource: !GetAtt FleetFunction.Arn}",
         "{Effect: Allow, Action: lambda:InvokeFunction, Resource: !GetAtt FleetLog.Arn}"),
        ('HasFleet: !And [!Equals [!Ref Fleet, "on"], !Condition HasTable]',
         'HasFleet: !And [!Equals [!Ref Fleet, "on"], !Condition Consumes]')],
    check_silent: [
        ("TreatMissingData: breaching", "TreatMissingData: notBreaching"),
        ("Threshold: !Ref SilentDevices", "Threshold: 1"),
        ("Period: 7200", "Period: 3600"),
        ("ComparisonOperator: GreaterThanOrEqualToThreshold",
         "ComparisonOperator: GreaterThanThreshold"),
        ("RingsSilent: !And [!Condition HasFleet, !Not [!Equals [!Ref SilentDevices, \"0\"]]]",
         "RingsSilent: !And [!Condition HasFleet, !Condition Archives]")],
    check_permissions: [
        ("Action: [s3:DeleteObject, s3:PutObject]",
         "Action: [s3:DeleteObject, s3:GetObject, s3:PutObject]"),
        ("Action: [dynamodb:BatchGetItem, dynamodb:PutItem]", "Action: dynamodb:PutItem"),
        ("Action: secretsmanager:GetSecretValue\n                Resource: !Ref Auth",
         "Action: secretsmanager:DescribeSecret\n                Resource: !Ref Auth"),
        ("{Effect: Allow, Action: firehose:PutRecordBatch, Resource: !GetAtt DeliveryStream.Arn}\n"
         "              - !If", "!Ref AWS::NoValue\n              - !If")],
    check_retries: [
        ("MaximumRetryAttempts: -1", "MaximumRetryAttempts: 100"),
        ("MaximumRecordAgeInSeconds: -1", "MaximumRecordAgeInSeconds: 3600"),
        ("ParallelizationFactor: 1", "ParallelizationFactor: 10"),
        ('IDENTITY_DAYS: "400"', 'IDENTITY_DAYS: "300"'),
        ("FunctionResponseTypes: [ReportBatchItemFailures]", "FunctionResponseTypes: []"),
        ("OnFailure: {Destination: !GetAtt DeadLetters.Arn}",
         "OnFailure: {Destination: !Ref Alarms}")],
    check_endpoint: [
        ("Types: [!If [PrivateApi, PRIVATE, REGIONAL]]", "Types: [REGIONAL]"),
        ("aws:SourceVpce: !If [MakesEndpoint, !Ref ApiEndpoint, !Ref ApiPrivateEndpoint]",
         "aws:SourceVpce: !Ref ApiPrivateEndpoint"),
        ("*/${ApiStageName}/POST/*", "*")],
    check_throttles: [
        ("ThrottlingRateLimit: !Ref ApiThrottleRate", "ThrottlingRateLimit: 10000"),
        ("/~1lambda~1single", "/lambda/single"),
        ("AccessLogSetting: !If\n        - ApiLogs", "AccessLogSetting: !If\n        - HasApi")],
    check_key_plan: [
        ("Limit: !Ref ApiKeyQuotaPerDay", "Limit: 1"), ("Period: DAY", "Period: MONTH"),
        ("UsagePlanId: !Ref UsagePlan", "UsagePlanId: !Ref ApiKey"),
        ("ApiKeyAuth: !And [!Condition HasApi, !Condition KeyAuth]",
         "ApiKeyAuth: !And [!Condition HasApi, !Condition UserPoolAuth]")],
    check_user_pool: [
        ("AllowedOAuthFlows: [client_credentials]", "AllowedOAuthFlows: [code]"),
        ("{ScopeName: write,", "{ScopeName: put,"),
        ("GenerateSecret: true", "GenerateSecret: false"),
        ("[UserPoolAuth, [!Sub \"${AWS::StackName}/write\"], !Ref AWS::NoValue]",
         "[UserPoolAuth, [], !Ref AWS::NoValue]")],
    check_firewall: [
        ('"48": {Bytes: 49152}', '"48": {Bytes: 48000}'),
        ("ResponseCode: 413", "ResponseCode: 403"),
        ("KB_${WafBodyKiB}", "KB_16"), ("ActionToUse: {Count: {}}", "ActionToUse: {Block: {}}")],
    check_keys: [
        ("KeyId: !If [CustomerKey, !GetAtt Key.Arn, alias/aws/kinesis]",
         "KeyId: alias/aws/kinesis"),
        ("KmsMasterKeyId: !If [CustomerKey, !GetAtt Key.Arn, !Ref AWS::NoValue]",
         "VisibilityTimeout: 30"),
        ("{SSEAlgorithm: aws:kms, KMSMasterKeyID: !GetAtt Key.Arn}", "{SSEAlgorithm: aws:kms}"),
        ("EnableKeyRotation: true", "EnableKeyRotation: false")],
    check_bucket: [
        ("TransitionInDays: !Ref ArchiveAfterDays", "TransitionInDays: 30"),
        ("ExpirationInDays: !Ref ExpireAfterDays", "ExpirationInDays: 30"),
        ("VersioningConfiguration: {Status: Enabled}",
         "VersioningConfiguration: {Status: Suspended}")],
    check_watch: [
        ("MetricName: IteratorAge\n", "MetricName: Duration\n"),
        ("s3: {Success: DeliveryToS3.Success,", "s3: {Success: DeliveryToS3.Records,"),
        ("AlarmActions: [!Ref Alarms]", "AlarmActions: []"),
        ("MetricName: ApproximateNumberOfMessagesVisible", "MetricName: NumberOfMessagesSent")],
    check_firehose: [
        ("ToRedshift: !Equals [!Ref FirehoseTo, redshift]",
         "ToRedshift: !Equals [!Ref FirehoseTo, http]"),
        ("{OrcSerDe: {Compression: SNAPPY}}", "{OrcSerDe: {Compression: ZLIB}}"),
        ("S3BackupMode: !If [BacksUp, AllData, FailedDataOnly]", "S3BackupMode: FailedDataOnly"),
        ("FromStream: !And [!Condition HasStream, !Equals [!Ref Firehose, stream]]",
         "FromStream: !And [!Condition HasStream, !Equals [!Ref Firehose, direct]]")],
    check_stream: [
        ("StreamMode: !If [OnDemand, ON_DEMAND, PROVISIONED]", "StreamMode: PROVISIONED"),
        ("RetentionPeriodHours: !Ref StreamHours", "RetentionPeriodHours: 24")],
}


class Checks(checks.Planted, unittest.TestCase):
    """Every check over every set, and its planted bugs."""

    CHECKS = CHECKS

    def test_default_days(self):
        """Who sets no IDENTITY_DAYS, as the KCL consumer, remembers for longer than any stream."""
        settings = consumer.settings_of({"TABLE": "t", "OUTPUT_BUCKET": "b", "DEAD_LETTERS": "q"})
        most = self.template["Parameters"]["StreamHours"]["MaxValue"]
        self.assertGreater(settings.days * 24, most)


if __name__ == "__main__":
    unittest.main()
